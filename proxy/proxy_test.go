package proxy_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/internal/whatsapp"
	"culvert/proxy"
	"culvert/test/app"
	"culvert/test/leak"
	"culvert/test/standin"
)

// world is a proxy before a stand-in for WhatsApp.
type world struct {
	*standin.Server
	proxy      *proxy.Server
	at, behind string
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func newWorld(t *testing.T, connections int) *world {
	t.Helper()
	return newTellingWorld(t, connections, 0, func(at string) string { return at })
}

// newTellingWorld has a proxy that tells, with something before the chat server.
func newTellingWorld(t *testing.T, connections, tell int, before func(at string) string) *world {
	t.Helper()
	far, err := standin.New()
	if err != nil {
		t.Fatal(err)
	}
	chat, media, near, behind := listen(t), listen(t), listen(t), listen(t)
	go far.ServeChat(chat)
	go far.ServeMedia(media)
	up := &whatsapp.Upstream{Chat: before(chat.Addr().String()), Media: media.Addr().String(), AllowPrivate: true}
	w := &world{far, proxy.New(up.Dial, connections, slog.New(slog.DiscardHandler)), near.Addr().String(), behind.Addr().String()}
	w.proxy.Tell = tell
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- w.proxy.Serve(ctx, near, false) }()
	go func() { ended <- w.proxy.Serve(ctx, behind, true) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		far.Close()
	})
	return w
}

// chat logs in by a connection and exchanges messages.
func (w *world) chat(t *testing.T, c net.Conn, err error) {
	t.Helper()
	if err == nil {
		defer c.Close()
		_, err = app.Exchange(t.Context(), c, w.Root(), 3)
	}
	if err != nil {
		t.Errorf("chat: %v", err)
	}
}

// media loads in both directions and looks at every byte.
func (w *world) media(t *testing.T, at string) {
	t.Helper()
	m := app.NewMedia(w.CAs(), app.Dial(at))
	defer m.Close()
	same := func(r io.Reader) io.Reader { return r }
	if err := m.Download(t.Context(), 1<<20, same); err != nil {
		t.Errorf("down: %v", err)
	}
	if err := m.Upload(t.Context(), 1<<20, same); err != nil {
		t.Errorf("up: %v", err)
	}
}

// One port takes what Meta's proxy has seven for: chat raw and in TLS, and media, whose TLS ends at WhatsApp.
func TestPhonesAreServedWithoutAClient(t *testing.T) {
	before := leak.Running()
	t.Cleanup(func() { before.Check(t) }) // after newWorld's
	w := newWorld(t, 100)
	c, err := net.Dial("tcp", w.at)
	w.chat(t, c, err)
	secure, err := tls.Dial("tcp", w.at, &tls.Config{InsecureSkipVerify: true})
	w.chat(t, secure, err)
	w.media(t, w.at)
}

// The statistics are for who knows the password, and count what there was.
func TestStatisticsAreForWhoKnowsThePassword(t *testing.T) {
	w := newWorld(t, 100)
	c, err := net.Dial("tcp", w.at)
	w.chat(t, c, err)
	server := httptest.NewServer(w.proxy.Stats("a password"))
	defer server.Close()
	ask := func(path, password string) (int, string) {
		r, _ := http.NewRequest(http.MethodGet, server.URL+path, nil)
		if password != "" {
			r.SetBasicAuth("anybody", password)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(text)
	}
	if code, text := ask("/metrics", "a password"); code != 200 || !strings.Contains(text, `culvert_proxy_connections_opened_total{service="chat"} 1`) || !strings.Contains(text, "\nculvert_proxy_displaced_total 0\n") {
		t.Errorf("got %d %s, want what was counted", code, text)
	}
	if code, text := ask("/", "a password"); code != 200 || !strings.Contains(text, "<table>") || strings.Contains(text, "127.0.0.1") {
		t.Errorf("got %d %s, want a page without addresses", code, text)
	}
	if code, text := ask("/healthz", ""); code != 200 || text != "ok\n" {
		t.Errorf("got %d %s, want to be told that it is well", code, text)
	}
	if code, _ := ask("/", ""); code != http.StatusUnauthorized {
		t.Errorf("got %d without a password", code)
	}
	last := 0
	for range 15 {
		last, _ = ask("/metrics", "guess")
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("got %d after 15 guesses, want a refusal", last)
	}
	w.proxy.Drain(0)
	if code, _ := ask("/healthz", ""); code != http.StatusServiceUnavailable {
		t.Errorf("got %d while it drains, want that it is about to stop", code)
	}
}

// When places are scarce the newcomer gets one.
func TestWhoComesWhenAllPlacesAreTakenIsServed(t *testing.T) {
	w := newWorld(t, 2)
	for range 5 {
		c, err := net.Dial("tcp", w.at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := app.Exchange(t.Context(), c, w.Root(), 1); err != nil {
			t.Errorf("chat: %v", err)
		}
	}
}

// Who sends no PROXY header to a listener that wants one is not served; HAProxy, which sends either version, is.
func TestLoadBalancersTellByAPROXYHeader(t *testing.T) {
	w := newWorld(t, 100)
	c, err := net.Dial("tcp", w.behind)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := app.Exchange(t.Context(), c, w.Root(), 1); err == nil {
		t.Error("served without a header")
	}
	if os.Getenv("CULVERT_REAL") == "" {
		t.Skip("CULVERT_REAL=1 tries HAProxy")
	}
	for _, version := range []string{"send-proxy", "send-proxy-v2"} {
		at := haproxy(t, w.behind, version)
		c, err := net.Dial("tcp", at)
		w.chat(t, c, err)
		w.media(t, at)
	}
}

// WhatsApp is told of whom a chat is only where that was wanted, by HAProxy's reading, and it is who came to the load
// balancer.
func TestWhatsAppIsToldTheUsersAddressIfThatIsWanted(t *testing.T) {
	if os.Getenv("CULVERT_REAL") == "" {
		t.Skip("CULVERT_REAL=1 tries HAProxy")
	}
	const mine, rule = "192.0.2.7", " tcp-request session reject unless { src 192.0.2.7 }\n"
	for tell := range 3 {
		w := newTellingWorld(t, 100, tell, func(at string) string { return haproxyWith(t, at, "", " accept-proxy", rule) })
		for from, want := range map[string]bool{mine: tell > 0, "192.0.2.8": false} {
			c, err := net.Dial("tcp", w.behind)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(10 * time.Second))
			fmt.Fprintf(c, "PROXY TCP4 %s 198.51.100.1 1234 5222\r\n", from)
			if _, err := app.Exchange(t.Context(), c, w.Root(), 3); (err == nil) != want {
				t.Errorf("version %d, from %s: got %v, want served %v", tell, from, err, want)
			}
		}
		w.media(t, w.at)
	}
}

// haproxy passes connections on with a header.
func haproxy(t *testing.T, to, version string) string {
	t.Helper()
	return haproxyWith(t, to, version, "", "")
}

func haproxyWith(t *testing.T, to, version, bind, rule string) string {
	t.Helper()
	ln := listen(t)
	at := ln.Addr().String()
	ln.Close()
	name := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := fmt.Sprintf("defaults\n mode tcp\n timeout connect 5s\n timeout client 1m\n timeout server 1m\nlisten all\n bind %s%s\n%s server one %s %s\n", at, bind, rule, to, version)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := exec.CommandContext(t.Context(), "haproxy", "-db", "-f", name)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill(); p.Wait() })
	for range 100 {
		c, err := net.Dial("tcp", at)
		if err == nil {
			c.Close()
			return at
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("haproxy does not start")
	return ""
}
