# Only Go, make and git are needed; Go fetches the rest. "make help" lists the targets.

GOFLAGS_BUILD := -trimpath -buildvcs=auto -ldflags '-s -w'
# The client speaks HTTP/2 with frames of its own: net/http's would be 4 % of its size. What it runs seldom, for a
# connection or a command and not for each message, is compiled without inlining: another 4 %. So are tunnels, to which a call is little.
SELDOM         := crypto/tls crypto/x509 net/http encoding/json encoding/asn1 log/slog math/big mime/multipart \
  github.com/klauspost/compress/... github.com/andybalholm/brotli \
  github.com/refraction-networking/utls culvert/cmd/... culvert/client/doctor culvert/client/household culvert/client/nearend \
  culvert/client/front culvert/client/visit culvert/client/kept culvert/internal/link culvert/internal/term culvert/internal/dial \
  culvert/internal/lang culvert/internal/page culvert/internal/doh culvert/internal/ech culvert/internal/whatsapp culvert/client/look culvert/internal/seal \
  culvert/internal/secret culvert/internal/selfsigned golang.org/x/net/... golang.org/x/text/... net/url mime net/textproto \
  culvert/client culvert/client/startup culvert/client/listener vendor/golang.org/x/net/... vendor/golang.org/x/text/... crypto/hpke crypto/ecdsa crypto/elliptic \
  crypto/rsa rsc.io/qr/... os/exec flag html fmt strconv reflect os io/fs path/filepath compress/flate hash/crc32 encoding/base32 encoding/pem \
  net net/netip context syscall golang.org/x/sys/... unicode/... github.com/flynn/noise culvert/internal/share \
  crypto/internal/fips140/nistec/... crypto/internal/fips140/ecdsa crypto/internal/fips140/rsa crypto/internal/fips140/ed25519 \
  crypto/internal/fips140/edwards25519/... strings time culvert/internal/tunnel culvert/internal/carrier
GOFLAGS_CLIENT := $(GOFLAGS_BUILD) -tags nethttpomithttp2 $(SELDOM:%=-gcflags=%=-l)
OUT           := bin/
STATICCHECK   := honnef.co/go/tools/cmd/staticcheck@v0.6.1
BENCHTIME     ?= 1s
FUZZTIME      ?= 10s
CLIENTS       ?= 2000
TRIES         ?= 8000

# What runs in the cloud, for ARCH: arm64 or x86_64. Functions are stamped with no commit, so that
# one that changes none of them deploys none.
ARCH          ?= arm64
CLOUD_BUILD   := GOOS=linux GOARCH=$(ARCH:x86_64=amd64) CGO_ENABLED=0 go build $(GOFLAGS_BUILD)
FUNCTION      := $(CLOUD_BUILD) -tags lambda.norpc -buildvcs=false

# What the targets of the cloud take: "make deploy PROFILE=me REGION=eu-central-1", for example;
# "bin/cloud deploy --help" has all. What other programs set in the environment, USER above all, counts
# on the command line alone.
given          = $(if $(filter command,$(origin $1)),--$2='$($1)')
given_anywhere = $(if $(filter command environment,$(origin $1)),--$2='$($1)')
CLOUD          = bin/cloud $@ $(call given,PROFILE,profile) $(call given_anywhere,REGION,region) $(call given_anywhere,STACK,stack) \
  $(call given_anywhere,TOPOLOGY,topology) $(call given_anywhere,DISTRIBUTIONS,distributions) $(call given,INSTANCE,instance) \
  $(call given,ARCH,arch) $(call given_anywhere,BUDGET,budget) $(call given_anywhere,EMAIL,email) $(call given,SET,set) \
  $(call given,USERS,users) $(call given,EDGE,edge) $(call given,USER,user) $(call given,FRONT,front) \
  $(call given,WITHDRAW,withdraw) $(call given,REMOVE,remove) $(call given,RENEW,renew) $(call given,DOCTOR,doctor) $(call given,BUCKET,bucket) $(call given,YES,yes)

.PHONY: all build client run demo test race bench soak censor shape hostile looks long probing fuzz lint staticcheck fmt image sbom release ci clean help functions invoke worker \
  bin/cloud deploy update status report link rotate revoke publish destroy fronts \
  build-ConnectFunction build-MessageFunction build-DisconnectFunction build-OriginLayer

all: build test ## build and test (plain "make")

build: client ## make bin/culvert, bin/origin, bin/edge and the rest (or PROGRAMS): static, stamped with the commit
	CGO_ENABLED=0 go build $(GOFLAGS_BUILD) -o bin/ $(or $(PROGRAMS),$$(go list ./cmd/... | grep -v /culvert$$))

client:
	CGO_ENABLED=0 go build $(GOFLAGS_CLIENT) -o '$(OUT)' ./cmd/culvert

run: build ## run the whole relay on this machine; phones on the same network may use it
	bin/local run --lan

demo: build ## the same against a stand-in WhatsApp, without internet; ends by itself
	bin/local demo

worker: build ## the same as run with the edge as a Cloudflare Worker, in Cloudflare's own runtime (needs npm)
	tools=$$(.ci/worker-tools) && bin/local run --lan --worker="$$tools/workerd"

test: ## the tests that take seconds
	go test ./...
	go -C test/peers test ./...

# The detector dies now and then when two threads run timers of one bubble of synctest, go.dev/issue/78156:
# what has bubbles runs on one thread, and what goes by real time not beside it. What takes longest is first.
race: export CGO_ENABLED := 1
race: export CULVERT_LONG := 1
race: ## all tests with the race detector, also those that take minutes (needs a C compiler)
	CULVERT_BUBBLES=only go test -race -p 2 -cpu 1 -parallel 8 -timeout 30m ./test/e2e $$(go list ./... | grep -vE '/(fronting|e2e)$$')
	CULVERT_BUBBLES=no go test -race -timeout 30m ./test/e2e
	CULVERT_LONG= go -C test/peers test -race ./...

long: export CULVERT_LONG := 1
long: ## the tests that mostly wait, for minutes
	CULVERT_BUBBLES=no go test -timeout 30m ./test/e2e
	go test ./test/censor/network

bench: build ## compare with a plain TLS copy, and report the benchmarks and what clients cost, idle and busy; never fails by time
	-go run ./test/load beside
	-go run ./test/load proxies -most 2000
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...
	.ci/idle $(CLIENTS)
	-go run ./test/load scale -n $(CLIENTS)
	.ci/gateway rate

.PHONY: plots
plots: build ## measure beside a plain TLS copy, and draw the table and plots of docs/PERFORMANCE.md anew (Linux, 5 quiet minutes)
	go run ./test/load beside -document docs/PERFORMANCE.md

soak: build ## carry users who come and go for two hours, kill edges, and see that nothing is left and nothing grows; ROUND and ROUNDS shorten it
	@.ci/soak $(or $(ROUND),5m) $(or $(ROUNDS),24)

censor: ## try the programs on paths that freeze, starve, count and die, and print goals and figures (root, 20 minutes)
	@.ci/censor all $(ROWS)

looks: ## take from Debian's browsers anew how the client's connections begin (root, a minute)
	@.ci/looks take

shape: ## say how well a decision tree tells carriers from chat pages in Chromium by sizes and times (Debian, 15 minutes)
	@.ci/shape all

hostile: ## attack the programs for half an hour beside ten honest users, and print what those notice (Linux)
	@.ci/hostile soak

probing: export CULVERT_REAL := 1
probing: export CULVERT_TRIES := $(TRIES)
probing: ## measure exactly, on an idle machine, whether the time of a refusal tells why (TRIES of each)
	go test ./test/probing -count 1 -v -timeout 1h -run TestRefusalsTakeTheSameTime

fuzz: ## run each fuzz target for FUZZTIME (10s)
	.ci/fuzz $(FUZZTIME)

lint: ## gofmt, go vet and staticcheck
	.ci/gofmt
	.ci/vet
	$(MAKE) --no-print-directory staticcheck

staticcheck:
	go run $(STATICCHECK) ./...
	go -C test/peers run $(STATICCHECK) ./...
	go -C test/helm run $(STATICCHECK) ./...

fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

image: ## build the container images of origin and edge into bin/image, for amd64, arm64 and arm
	go run ./infra/image bin/image

sbom: build ## say what the programs are made of, in CycloneDX, in bin/sbom.json
	go run ./infra/sbom bin/culvert bin/origin bin/edge > bin/sbom.json

release: ## make what is published of VERSION, or of the commit's tag, in bin/release; KEY=file of the SSH key that signs it
	rm -rf bin/release
	go run ./infra/release $(if $(VERSION),-version '$(VERSION)') $(if $(KEY),-key '$(KEY)') $(if $(ONLY),-only '$(ONLY)') bin/release

ci: ## everything that must hold, as on a new machine (installs Debian packages if missing)
	bash .ci/run

functions: ## build the three Lambda functions into bin/lambda, for ARCH (arm64 or x86_64)
	for f in connect message disconnect; do $(FUNCTION) -o bin/lambda/$$f/bootstrap ./functions/$$f || exit; done

invoke: build ## run one with a recorded event: FN=Message EVENT=infra/events/message.json
	$(MAKE) --no-print-directory -s functions ARCH=$$(uname -m | sed s/aarch64/arm64/)
	go run ./test/invoke $(FN) $(EVENT)

# "sam build" makes one of these for each function and layer of template.yaml, with ARTIFACTS_DIR.
build-ConnectFunction build-MessageFunction build-DisconnectFunction: build-%Function:
	$(FUNCTION) -o "$(ARTIFACTS_DIR)/bootstrap" ./functions/$(shell echo $* | tr A-Z a-z)

build-OriginLayer:
	$(CLOUD_BUILD) -o "$(ARTIFACTS_DIR)/origin" ./cmd/origin
	find infra/host -maxdepth 1 -type f ! -name '*.go' ! -name '*.md' -exec cp -p {} "$(ARTIFACTS_DIR)" \;

bin/cloud:
	@test -x bin/cloud || echo "… building bin/cloud (the first time 1 or 2 min)"
	@$(MAKE) --no-print-directory -s client
	@CGO_ENABLED=0 go build $(GOFLAGS_BUILD) -o bin/ ./cmd/cloud

# What is typed is on the command line: FILE and SECRET in the environment are another program's.
typed = $(if $(filter command,$(origin $1)),$($1))

fronts: bin/cloud ## tell users of FRONT='wss://a/ 2' or WITHDRAW='host', or show what they are told (USERS=1-50 REMOVE= RENEW=days); without AWS: SECRET= FILE=
	@$(if $(call typed,SECRET)$(call typed,FILE),bin/culvert link fronts $(if $(call typed,FRONT),publish,$(if $(call typed,WITHDRAW),withdraw,show)) \
	  --secret-file '$(call typed,SECRET)' --file '$(call typed,FILE)' $(foreach f,$(call typed,FRONT),--front '$(f)') \
	  $(foreach w,$(call typed,WITHDRAW),--withdraw '$(w)') $(if $(call typed,USERS),--users '$(call typed,USERS)'),$(CLOUD))

deploy: bin/cloud ## bring Culvert to your AWS account, and print the first link (PROFILE= REGION= STACK= TOPOLOGY= ...)
	@$(CLOUD)

update: bin/cloud ## bring a new origin to your AWS account without cutting anybody off
	@$(CLOUD)

status: bin/cloud ## say how your deployment does: health, users, bytes, money
	@$(CLOUD)

report: bin/cloud ## ask what only a live account can answer, and print it without names, for pasting
	@$(CLOUD)

link: bin/cloud ## make a link for USER=number; FRONT=number to use one distribution alone
	@$(CLOUD)

rotate: bin/cloud ## make new secrets; links of the last ones work until the next time
	@$(CLOUD)

revoke: bin/cloud ## make the links of USER=number void
	@$(CLOUD)

publish: bin/cloud ## fill BUCKET= in REGION= with the commit as VERSION=, for everybody to deploy from by a button
	@rm -rf bin/publish
	@go run ./infra/release -only cloud -version '$(or $(VERSION),v0.0.0-g$(shell git rev-parse --short HEAD))' bin/publish
	@$(CLOUD) --archive "$$(echo bin/publish/culvert-aws_*)"

destroy: bin/cloud ## remove your deployment, and all that it costs
	@$(CLOUD)

clean: ## remove what was built
	rm -rf bin

help: ## print this
	@awk -F ':[^#]*## ' '/^[a-z]+:[^#]*## / { printf "  make %-10s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)
