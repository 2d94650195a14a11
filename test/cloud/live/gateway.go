//go:build linux

package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"culvert/test/emulator"
)

// function is one of Lambda's. A change of it makes other instances; those of
// before end what they are at, and by themselves.
type function struct {
	name string

	mu  sync.Mutex // guards the following
	now *emulator.Process
}

func (f *function) process() *emulator.Process {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

type functionProperties struct {
	MemorySize, Timeout number
	Environment         struct{ Variables map[string]string }
}

// takeFunction keeps the code and the settings; nothing is started yet.
func (w *world) takeFunction(ctx context.Context, p part) error {
	set, err := as[functionProperties](p)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp(w.folder, "function")
	if err == nil {
		err = unpack(ctx, p.Code, folder)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.ID, err)
	}
	process := emulator.NewProcess(filepath.Join(folder, "bootstrap"), emulator.Settings{
		Name: p.ID, Region: region, MemoryMB: int(set.MemorySize), Timeout: time.Duration(set.Timeout) * time.Second,
		Env: set.Environment.Variables, Output: os.Stderr, Concurrency: 64,
	})
	f := w.functions[p.ARN]
	if f == nil {
		f = &function{name: p.ID}
		w.functions[p.ARN] = f
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = process
	return nil
}

// unpack fetches a zip file into a folder.
func unpack(ctx context.Context, url, folder string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return errors.Join(err, fmt.Errorf("fetch the code: %s", res.Status))
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	if err := os.CopyFS(folder, z); err != nil {
		return err
	}
	return os.Chmod(filepath.Join(folder, "bootstrap"), 0o755)
}

// gateway is an API with its stage.
type gateway struct {
	world   *world
	id      string
	stage   string
	handler *emulator.Gateway
}

type stageProperties struct {
	APIID                string `json:"ApiId"`
	StageName            string
	DefaultRouteSettings struct{ ThrottlingRateLimit, ThrottlingBurstLimit number }
	RouteSettings        map[string]struct{ ThrottlingRateLimit number }
}

// takeStage makes the API answer.
func (w *world) takeStage(p part) error {
	s, err := as[stageProperties](p)
	if err != nil {
		return err
	}
	if _, err := w.part("AWS::ApiGatewayV2::Api", s.APIID); err != nil || w.gateways[s.APIID] != nil {
		return err
	}
	g := &gateway{world: w, id: s.APIID, stage: s.StageName}
	g.handler = emulator.New(emulator.Routes{Connect: &route{g, "$connect"}, Default: &route{g, "$default"}, Disconnect: &route{g, "$disconnect"}},
		emulator.Options{API: s.APIID, Region: region, Stage: s.StageName, Credentials: posts, ConnectRate: int(s.RouteSettings["$connect"].ThrottlingRateLimit),
			RequestRate: int(s.DefaultRouteSettings.ThrottlingRateLimit), RequestBurst: int(s.DefaultRouteSettings.ThrottlingBurstLimit)})
	w.gateways[s.APIID] = g
	return w.offer(g.host())
}

func (g *gateway) host() string { return g.id + ".execute-api." + region + ".amazonaws.com" }

// route leads to a function, if the stack says so and may call it.
type route struct {
	of  *gateway
	key string
}

type (
	routeProperties       struct{ ApiId, RouteKey, Target string }
	integrationProperties struct{ ApiId, IntegrationType, IntegrationUri string }
	permissionProperties  struct{ FunctionName, Principal, SourceArn string }
)

// Invoke fails as API Gateway does where a part of the way is missing.
func (r *route) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	f, err := r.function()
	if err != nil {
		fmt.Fprintln(os.Stderr, "live: API Gateway:", r.key+":", err)
		return nil, err
	}
	return f.process().Invoke(ctx, payload)
}

func (r *route) function() (*function, error) {
	w := r.of.world
	to, err := find(w, "AWS::ApiGatewayV2::Route", func(p routeProperties) bool { return p.ApiId == r.of.id && p.RouteKey == r.key })
	if err != nil {
		return nil, err
	}
	p, err := w.get("AWS::ApiGatewayV2::Integration", strings.TrimPrefix(to.Target, "integrations/"))
	if err != nil {
		return nil, err
	}
	through, err := as[integrationProperties](p)
	if err != nil {
		return nil, err
	}
	_, arn, _ := strings.Cut(through.IntegrationUri, "/functions/")
	arn = strings.TrimSuffix(arn, "/invocations")
	w.mu.Lock()
	f := w.functions[arn]
	w.mu.Unlock()
	if f == nil || through.IntegrationType != "AWS_PROXY" || through.ApiId != r.of.id {
		return nil, fmt.Errorf("a function for %v: %w", through, errNotThere)
	}
	source := "arn:aws:execute-api:" + region + ":123456789012:" + r.of.id + "/" + r.of.stage + "/" + r.key
	_, err = find(w, "AWS::Lambda::Permission", func(p permissionProperties) bool {
		return p.FunctionName == arn && p.Principal == "apigateway.amazonaws.com" && p.SourceArn == source
	})
	return f, err
}

// region is where everything is.
const region = "us-east-1"

// posts is what the origin signs by: the stand-in for STS gives it to the machine.
var posts = aws.Credentials{AccessKeyID: "ASIASTANDIN", SecretAccessKey: "of-the-stand-in", SessionToken: "of-the-stand-in"}
