package serve

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// watched has the setting that health goes by.
type watched struct {
	Admin AdminAddress `env:"CULVERT_ADMIN_LISTEN" envDefault:"127.0.0.1:1" empty:"off" help:"where to watch" try:"127.0.0.1:3"`
}

func (*watched) Check() []SettingError { return nil }

func TestHealthIsWhatTheAdminListenerSays(t *testing.T) {
	var draining atomic.Bool
	server := httptest.NewServer(newAdmin(NewRegistry(), &draining))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	for _, at := range []string{":", "0.0.0.0:", "127.0.0.1:"} {
		t.Setenv("CULVERT_ADMIN_LISTEN", at+port)
		var out bytes.Buffer
		if err := Load(someProgram, new(watched), []string{"health"}, &out); err != ErrShown || out.String() != "ok\n" {
			t.Errorf("%s: got %v and %q, want ok", at, err, out.String())
		}
	}
	draining.Store(true)
	if err := Load(someProgram, new(watched), []string{"health"}, nil); !errors.Is(err, ErrUnhealthy) || !strings.Contains(err.Error(), "503") {
		t.Errorf("while it drains: got %v, want %v", err, ErrUnhealthy)
	}
}

func TestHealthWithoutAnAnswer(t *testing.T) {
	elsewhere := httptest.NewServer(http.RedirectHandler("/ok", http.StatusFound))
	defer elsewhere.Close()
	for at, unhealthy := range map[string]bool{
		"127.0.0.1:1": true, elsewhere.Listener.Addr().String(): true, "": false, "off": false, "here": false,
	} {
		t.Setenv("CULVERT_ADMIN_LISTEN", at)
		err := Load(someProgram, new(watched), []string{"health"}, nil)
		if err == nil || errors.Is(err, ErrUnhealthy) != unhealthy || !strings.Contains(err.Error(), "CULVERT_ADMIN_LISTEN") && !unhealthy {
			t.Errorf("%q: got %v, want that it is unhealthy: %v", at, err, unhealthy)
		}
	}
}
