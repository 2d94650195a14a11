package main

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"culvert/internal/seal"
	"culvert/internal/serve"
	"culvert/internal/wire"
)

func load(t *testing.T, vars map[string]string) (*config, error) {
	t.Helper()
	for name, value := range vars {
		t.Setenv(name, value)
	}
	cfg := new(config)
	return cfg, serve.Load(program, cfg, nil, nil)
}

func TestWrongSettingsAreSaidAtOnce(t *testing.T) {
	_, err := load(t, map[string]string{"CULVERT_LISTEN": "x", "CULVERT_TLS_CERT": "/c", "CULVERT_UPSTREAM_CHAT": "host",
		"CULVERT_UPSTREAM_MEDIA": ":99999", "CULVERT_ALLOW_PRIVATE": "sure", "CULVERT_REVOKED": "/none", "CULVERT_ADMIN_LISTEN": "no",
		"CULVERT_DRAIN": "-1s", "CULVERT_MAX_TUNNELS": "0", "CULVERT_MAX_CARRIERS": "all", "CULVERT_GATE_FILE": "/dev/null", "CULVERT_ADVERTISE": "x",
		"CULVERT_GATEWAY": "execute-api"})
	for _, name := range []string{"LISTEN", "GATE_FILE", "ADVERTISE", "GATEWAY", "TLS_KEY", "SECRET_FILE", "UPSTREAM_CHAT", "UPSTREAM_MEDIA", "ALLOW_PRIVATE", "REVOKED",
		"ADMIN_LISTEN", "DRAIN", "MAX_TUNNELS", "MAX_CARRIERS"} {
		if err == nil || !strings.Contains(err.Error(), "CULVERT_"+name+": ") {
			t.Errorf("got %v, want CULVERT_%s named", err, name)
		}
	}
}

// secretFile is a file with a new master secret, or with text.
func secretFile(t *testing.T, text ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(strings.Join(append(text, seal.NewMaster().Text())[:1], "")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestTheSecretComesFromAFileOfItsOwner(t *testing.T) {
	want := seal.NewMaster()
	file, open := secretFile(t, want.Text()), secretFile(t, want.Text())
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ variable, file, blame string }{
		"file":                       {"", file, ""},
		"neither":                    {"", "", "CULVERT_SECRET_FILE: is not set"},
		"variable":                   {want.Text(), "", "CULVERT_SECRET: is in the environment, which other programs can read\n\ttry CULVERT_SECRET_FILE="},
		"variable and file":          {"hunter2", file, "CULVERT_SECRET: is in the environment"},
		"file missing":               {"", file + "x", "CULVERT_SECRET_FILE: open"},
		"file of a key":              {"", "/dev/null", "CULVERT_SECRET_FILE: not a master secret"},
		"file for everybody to read": {"", open, "chmod 600 " + open},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := load(t, map[string]string{"CULVERT_SECRET": c.variable, "CULVERT_SECRET_FILE": c.file})
			if c.blame == "" && (err != nil || cfg.masters[0].Text() != want.Text()) {
				t.Errorf("got %v, want the secret read", err)
			}
			if c.blame != "" && (err == nil || !strings.Contains(err.Error(), c.blame) || strings.Contains(err.Error(), "hunter2")) {
				t.Errorf("got %v, want %q without the value", err, c.blame)
			}
		})
	}
}

const (
	newGate = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789zZ"
	oldGate = "ZzabcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
)

func TestSecretsComeInGenerations(t *testing.T) {
	master, gate := filepath.Join(t.TempDir(), "master"), filepath.Join(t.TempDir(), "gate")
	older := seal.NewMaster()
	for name, text := range map[string]string{master: newGate + "\n" + older.Text() + "\n", gate: newGate + "\n" + oldGate + "\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := load(t, map[string]string{"CULVERT_SECRET_FILE": master, "CULVERT_GATE_FILE": gate})
	if err != nil || len(cfg.masters) != 2 || cfg.masters[1] != older || len(cfg.gates) != 2 {
		t.Fatalf("got %d masters, %d gates and %v, want 2 of each, the newest first", len(cfg.masters), len(cfg.gates), err)
	}
	old, err := wire.ParseGateKeys(oldGate)
	if err != nil || cfg.gates[1] != old[0] {
		t.Errorf("got another key or %v, want the older gate's last", err)
	}
}

func TestAGatesSecretComesFromAFile(t *testing.T) {
	for name, c := range map[string]struct{ variable, file, blame string }{
		"variable": {newGate, "", "CULVERT_GATE: is in the environment, which other programs can read\n\ttry CULVERT_GATE_FILE="},
		"missing":  {"", "/none", "CULVERT_GATE_FILE: open"},
		"garbage":  {"", secretFile(t, "hunter2"), "CULVERT_GATE_FILE: not a gate secret"},
		"right":    {"", secretFile(t, newGate), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, map[string]string{"CULVERT_SECRET_FILE": secretFile(t), "CULVERT_GATE": c.variable, "CULVERT_GATE_FILE": c.file})
			if (err == nil) != (c.blame == "") || err != nil && (!strings.Contains(err.Error(), c.blame) || strings.Contains(err.Error(), "hunter2")) {
				t.Errorf("got %v, want %q without the value", err, c.blame)
			}
		})
	}
}

func TestTheWebsiteFollowsFromTheGatesSecretUnlessItIsSaid(t *testing.T) {
	shown := func(vars map[string]string) string {
		t.Helper()
		cfg, err := load(t, vars)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		cfg.shown.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		return w.Header().Get("Last-Modified") + w.Body.String()
	}
	one := map[string]string{"CULVERT_SECRET_FILE": secretFile(t), "CULVERT_GATE_FILE": secretFile(t, newGate)}
	first := shown(one)
	if again := shown(one); again != first {
		t.Error("got another website of the same secrets")
	}
	other := shown(map[string]string{"CULVERT_GATE_FILE": secretFile(t, oldGate)})
	said := shown(map[string]string{"CULVERT_SITE": "farsh:1a2b3c?name=x"})
	master := shown(map[string]string{"CULVERT_SITE": "", "CULVERT_GATE_FILE": ""})
	if other == first || said == other || master == other || !strings.Contains(said, "<title>x</title>") {
		t.Errorf("got the same website of other secrets, or not the one that was said: %q", said)
	}
	for _, bad := range []string{"shop", "/none/such", "https://a:b@example.org", "soups:zz"} {
		_, err := load(t, map[string]string{"CULVERT_SITE": bad})
		if err == nil || !strings.Contains(err.Error(), "CULVERT_SITE: ") || !strings.Contains(err.Error(), "try CULVERT_SITE=") {
			t.Errorf("%s: got %v, want CULVERT_SITE named, and what to try", bad, err)
		}
	}
}

func TestWhatMustNotBeOnByAccidentIsNamedLoudly(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))
	new(config).warn(log)
	if out.Len() > 0 {
		t.Errorf("got %q by default, want nothing", out.String())
	}
	(&config{Chat: "127.0.0.1:1", Media: "127.0.0.1:2", AllowPrivate: true}).warn(log)
	for _, name := range []string{"CULVERT_UPSTREAM_CHAT", "CULVERT_UPSTREAM_MEDIA", "CULVERT_ALLOW_PRIVATE"} {
		if !strings.Contains(out.String(), name) {
			t.Errorf("got %q, want %s in it", out.String(), name)
		}
	}
}

func TestRevokedUsers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "revoked")
	if err := os.WriteFile(file, []byte("3 # lost phone\n\n17,18\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, v := range []revocation{"3,17, 18", revocation(file)} {
		revoked, err := v.watch(serve.NewFiles(slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		for user, want := range map[uint32]bool{3: true, 17: true, 18: true, 0: false, 4: false} {
			if got := revoked(user); got != want {
				t.Errorf("%s, user %d: got %v, want %v", v, user, got, want)
			}
		}
	}
	for _, bad := range []string{"x", "-1", "4294967296", "3;4", "1 2 x", "0x3"} {
		if _, err := parseRevoked(bad); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}

// A list that a program wrote may be one line, of any length.
func TestManyRevokedUsersMayStandInOneLine(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "revoked")
	if err := os.WriteFile(file, []byte(strings.Repeat("4294967295,", 10_000)+"17"), 0o600); err != nil {
		t.Fatal(err)
	}
	if users, err := revocation(file).read(); err != nil || !users[17] || len(users) != 2 {
		t.Errorf("got %d users and %v, want two", len(users), err)
	}
}

func FuzzRevoked(f *testing.F) {
	f.Add("3,17\n# x\n4")
	f.Fuzz(func(t *testing.T, in string) {
		users, err := parseRevoked(in)
		if err == nil && len(users) > len(in) {
			t.Errorf("got %d users from %d bytes", len(users), len(in))
		}
	})
}

// started is a log that tells the addresses of the line "ready".
type started struct {
	slog.Handler
	admin chan string
}

func (s started) Enabled(context.Context, slog.Level) bool { return true }

func (s started) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "admin" {
			s.admin <- a.Value.String()
		}
		return true
	})
	return nil
}

func TestAnOriginIsHealthyShowsTheSiteAndStops(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := ln.Addr().String()
	ln.Close()
	cfg, err := load(t, map[string]string{"CULVERT_SECRET_FILE": secretFile(t), "CULVERT_LISTEN": at, "CULVERT_ADMIN_LISTEN": "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	log, ended := started{slog.DiscardHandler, make(chan string, 1)}, make(chan error, 1)
	go func() { ended <- cfg.run(ctx, slog.New(log), serve.NewFiles(slog.New(log))) }()
	for _, url := range []string{"http://" + <-log.admin + "/healthz", "http://" + at + "/"} {
		res, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 200 {
			t.Errorf("got %s, want 200", res.Status)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("got %v, want a complete stop", err)
	}
}

func TestTwoListenersHavePortsOfTheirOwn(t *testing.T) {
	_, err := load(t, map[string]string{"CULVERT_SECRET_FILE": secretFile(t), "CULVERT_LISTEN": ":9090"})
	if err == nil || !strings.Contains(err.Error(), "CULVERT_ADMIN_LISTEN: has the port of CULVERT_LISTEN, :9090") {
		t.Errorf("got %v, want to be told of both", err)
	}
}
