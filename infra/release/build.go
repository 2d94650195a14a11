package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// program is one of ours and how it is called where it is installed: "origin" says nothing there.
type program struct{ command, name string }

var (
	client  = program{"culvert", "culvert"}
	servers = []program{{"origin", "culvert-origin"}, {"edge", "culvert-edge"}}
)

// The tags of the Makefile's GOFLAGS_CLIENT, and its SELDOM: the packages that are compiled without inlining.
const clientTags = "nethttpomithttp2"

var seldom = []string{
	"crypto/tls", "crypto/x509", "net/http", "encoding/json", "encoding/asn1", "log/slog", "math/big", "mime/multipart",
	"github.com/klauspost/compress/...", "github.com/andybalholm/brotli",
	"github.com/refraction-networking/utls", "culvert/cmd/...", "culvert/client/doctor", "culvert/client/household", "culvert/client/nearend",
	"culvert/client/front", "culvert/client/visit", "culvert/client/kept", "culvert/internal/link", "culvert/internal/term", "culvert/internal/dial",
	"culvert/internal/lang", "culvert/internal/page", "culvert/internal/doh", "culvert/internal/ech", "culvert/internal/whatsapp", "culvert/client/look", "culvert/internal/seal",
	"culvert/internal/secret", "culvert/internal/selfsigned", "golang.org/x/net/...", "golang.org/x/text/...", "net/url", "mime", "net/textproto",
	"culvert/client", "culvert/client/startup", "culvert/client/listener", "vendor/golang.org/x/net/...", "vendor/golang.org/x/text/...",
	"crypto/hpke", "crypto/ecdsa", "crypto/elliptic", "crypto/rsa", "rsc.io/qr/...", "os/exec", "flag", "html",
	"fmt", "strconv", "reflect", "os", "io/fs", "path/filepath", "compress/flate", "hash/crc32", "encoding/base32", "encoding/pem",
	"net", "net/netip", "context", "syscall", "golang.org/x/sys/...", "unicode/...", "github.com/flynn/noise", "culvert/internal/share",
	"crypto/internal/fips140/nistec/...", "crypto/internal/fips140/ecdsa", "crypto/internal/fips140/rsa", "crypto/internal/fips140/ed25519",
	"crypto/internal/fips140/edwards25519/...", "strings", "time", "culvert/internal/tunnel", "culvert/internal/carrier",
}

// systems makes programs, archives and packages of each system that is wanted.
func (r *release) systems() error {
	for _, s := range systems {
		if !slices.Contains(r.wants, s.name) {
			continue
		}
		if err := errors.Join(r.build(s), r.archives(s), r.packages(s)); err != nil {
			return err
		}
	}
	return nil
}

// built is where a system's programs are, by the names that they are installed by.
func (r *release) built(s system) string { return filepath.Join(r.work, s.path()) }

// path is the system's name as file names have it: "linux_armv6".
func (s system) path() string { return strings.ReplaceAll(s.name, "/", "_") }

func (s system) isWindows() bool { return strings.HasPrefix(s.name, "windows/") }

// suffix is what the names of programs end in.
func (s system) suffix() string {
	if s.isWindows() {
		return ".exe"
	}
	return ""
}

// programs are those that are made for the system.
func (s system) programs() []program {
	if !s.server {
		return []program{client}
	}
	return append([]program{client}, servers...)
}

// build compiles as "make build" does, so that whoever has the tag and the same Go can compare the bytes.
func (r *release) build(s system) error {
	folder := r.built(s) + string(filepath.Separator)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	flags := []string{"build", "-trimpath", "-buildvcs=true", "-ldflags", "-s -w", "-o", folder}
	if err := r.goCommand(s.env, slices.Concat(flags, clientFlags(), []string{"./cmd/" + client.command})...); err != nil || !s.server {
		return err
	}
	for _, p := range servers {
		flags = append(flags, "./cmd/"+p.command)
	}
	if err := r.goCommand(s.env, flags...); err != nil {
		return err
	}
	for _, p := range servers {
		if err := os.Rename(folder+p.command+s.suffix(), folder+p.name+s.suffix()); err != nil {
			return err
		}
	}
	return nil
}

// clientFlags make the client small.
func clientFlags() []string {
	all := []string{"-tags", clientTags}
	for _, p := range seldom {
		all = append(all, "-gcflags="+p+"=-l")
	}
	return all
}
