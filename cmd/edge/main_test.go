package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"culvert/internal/serve"
	"culvert/internal/site"
	"culvert/test/ports"
)

// asEdge makes this test's own program an edge.
const asEdge = "CULVERT_TEST_AS_EDGE"

func TestMain(m *testing.M) {
	if os.Getenv(asEdge) != "" {
		os.Unsetenv(asEdge)
		os.Args = os.Args[:1]
		limitFiles()
		main()
		return
	}
	os.Exit(m.Run())
}

// A hangup ends nothing: an edge goes on until it is told to end.
func TestAHangupDoesNotEndAnEdge(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := exec.Command(self)
	p.Env = []string{asEdge + "=1", "CULVERT_ORIGIN=https://origin.example", "CULVERT_LISTEN=127.0.0.1:0", "CULVERT_DRAIN=1s"}
	log, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	defer p.Process.Kill()
	var ended string
	for lines := bufio.NewScanner(log); lines.Scan(); ended = lines.Text() {
		if strings.Contains(lines.Text(), "msg=ready") {
			p.Process.Signal(syscall.SIGHUP)
			p.Process.Signal(syscall.SIGTERM)
		}
	}
	if err := p.Wait(); err != nil || !strings.Contains(ended, "msg=stopped") {
		t.Errorf("got %v after the line %q, want a complete stop", err, ended)
	}
}

func TestWrongSettingsAreSaidAtOnce(t *testing.T) {
	t.Setenv("CULVERT_LISTEN", "8080")
	t.Setenv("CULVERT_TLS_KEY", "/key")
	t.Setenv("CULVERT_ORIGIN_CA", "/none")
	t.Setenv("CULVERT_ADMIN_LISTEN", "on")
	t.Setenv("CULVERT_DRAIN", "0s")
	t.Setenv("CULVERT_MAX_SOCKETS", "0")
	t.Setenv("CULVERT_SITE", "/none/such")
	err := serve.Load(program, new(config), nil, nil)
	for _, name := range []string{"CULVERT_LISTEN", "CULVERT_TLS_CERT", "CULVERT_ORIGIN", "CULVERT_ORIGIN_CA", "CULVERT_ADMIN_LISTEN",
		"CULVERT_DRAIN", "CULVERT_MAX_SOCKETS", "CULVERT_SITE"} {
		if err == nil || !strings.Contains(err.Error(), name+": ") {
			t.Errorf("got %v, want %s named", err, name)
		}
	}
}

func TestAnEdgeThatShouldEmulateAGatewayNamesWhatDoes(t *testing.T) {
	t.Setenv("CULVERT_ORIGIN", "https://origin.example")
	for door, want := range map[string]string{"": "", "stream": "", "gateway": "bin/local gateway", "other": "bin/local gateway"} {
		t.Setenv("CULVERT_DOOR", door)
		err := serve.Load(program, new(config), nil, nil)
		if want == "" && err != nil {
			t.Errorf("%q: got %v, want none", door, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), "CULVERT_DOOR: ") || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %s named", door, err, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Setenv("CULVERT_ORIGIN", "https://origin.example")
	cfg := new(config)
	if err := serve.Load(program, cfg, nil, nil); err != nil {
		t.Fatal(err)
	}
	if cfg.Listen != "127.0.0.1:8080" || cfg.Admin != serve.Off || cfg.DrainFor.Seconds() != 20 || cfg.roots != nil {
		t.Errorf("got %+v, want the defaults", cfg)
	}
}

func TestHelpNamesEverySetting(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	serve.Load(program, new(config), []string{"--help"}, &out)
	for _, name := range []string{"LISTEN", "TLS_CERT", "TLS_KEY", "ORIGIN", "ORIGIN_CA", "ADMIN_LISTEN", "DRAIN", "MAX_SOCKETS", "SITE"} {
		if !strings.Contains(out.String(), "\n  CULVERT_"+name+"\n") {
			t.Errorf("got %q, want %s in it", out.String(), name)
		}
	}
}

// started is a log that tells when the line "ready" comes.
type started struct {
	slog.Handler
	ready chan struct{}
}

func (s started) Enabled(context.Context, slog.Level) bool { return true }

func (s started) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "ready" {
		close(s.ready)
	}
	return nil
}

func TestAnEdgeShowsTheSiteAndStops(t *testing.T) {
	origin := httptest.NewServer(site.Handler())
	defer origin.Close()
	at := ports.Loopback()
	t.Setenv("CULVERT_ORIGIN", origin.URL)
	t.Setenv("CULVERT_LISTEN", at)
	cfg := new(config)
	if err := serve.Load(program, cfg, nil, nil); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	log, ended := started{slog.DiscardHandler, make(chan struct{})}, make(chan error, 1)
	go func() { ended <- cfg.run(ctx, slog.New(log), serve.NewFiles(slog.New(log))) }()
	<-log.ready
	res, err := http.Get("http://" + at + "/about.html")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if page, _ := io.ReadAll(res.Body); res.StatusCode != 200 || !strings.Contains(string(page), "<h1>About") {
		t.Errorf("got %s and %q, want the page", res.Status, page)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("got %v, want a complete stop", err)
	}
}
