package main

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"culvert/client/listener"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/term"
	"culvert/test/app"
)

var portsIn = regexp.MustCompile(`chat port (\d+), media port (\d+)`)

func TestConnectCarriesTheApp(t *testing.T) {
	t.Parallel()
	r, _ := openRelay(t)
	name := file(t, "link", r.link.String()+"\n", 0o600)
	out, stop := start(t, "connect", "--link-file", name, "--chat", "127.0.0.1:0", "--media", "127.0.0.1:0", "--qr")
	text := out.await(t, "Connected by front 1")
	ports := portsIn.FindStringSubmatch(text)
	if ports == nil || !strings.Contains(text, "https://wa.me/proxy?host=127.0.0.1&chatPort="+ports[1]+"&mediaPort="+ports[2]) {
		t.Fatalf("got %s, want ports and a link with them", text)
	}
	if !strings.Contains(text, "█") || !strings.Contains(text, "--lan") {
		t.Errorf("got %s, want a QR code, and how to let phones in", text)
	}
	for _, port := range ports[1:] { // every port serves everything
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := app.Exchange(t.Context(), conn, r.trust.root, 3); err != nil {
			t.Errorf("got %v, want messages answered", err)
		}
	}
	if code := stop(); code != 0 {
		t.Errorf("got code %d after an interruption, want 0", code)
	}
}

func TestConnectSaysWhyNotAndTriesOn(t *testing.T) {
	t.Parallel()
	l := &link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{deadFront(t)}}
	near, err := openNearEnd(t.Context(), l, &nearOptions{chat: "127.0.0.1:0", media: "127.0.0.1:0"}, newScreen())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out, done := newScreen(), make(chan error, 1)
	go func() { done <- near.runFor(ctx, term.NewConsole(out), 100*time.Millisecond) }()
	text := out.await(t, "culvert doctor")
	if !strings.Contains(text, "Not connected yet") || !strings.Contains(text, "connection refused") {
		t.Errorf("got %s, want why", text)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("got %v after an interruption, want none", err)
	}
}

func TestTheAppsSettingsFollowTheListeners(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    nearOptions
		want string
	}{
		"loopback":       {nearOptions{chat: "127.0.0.1:0", media: "127.0.0.1:0"}, "host 127.0.0.1, chat port"},
		"all, not meant": {nearOptions{chat: ":0", media: ":0"}, "host 127.0.0.1, chat port"},
		"a name given":   {nearOptions{chat: ":0", media: ":0", lan: true, host: "proxy.lan"}, "host proxy.lan, chat port"},
		"raw alone":      {nearOptions{raw: "127.0.0.1:0"}, "Raw chat on 127.0.0.1:"},
	} {
		l := &link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{deadFront(t)}}
		near, err := openNearEnd(t.Context(), l, &c.o, newScreen())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		near.close()
		if got := near.app.text(); !strings.Contains(got, c.want) || strings.Contains(got, "--lan") == (c.o.lan || c.o.raw != "") {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestAHostThatTheAppCannotTakeIsRefused(t *testing.T) {
	t.Parallel()
	r := file(t, "link", (&link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{deadFront(t)}}).String(), 0o600)
	code, _, stderr := culvert(t, "connect", "--link-file", filepath.Clean(r), "--chat", "127.0.0.1:0", "--media", "127.0.0.1:0", "--host", "fd00::1")
	if code != 1 || !strings.Contains(stderr, "IPv6") {
		t.Errorf("got %d, %q, want a refusal of IPv6", code, stderr)
	}
}

func TestWithoutALANAddressTheUserIsAskedForIt(t *testing.T) {
	t.Parallel()
	a := appSettings{chat: 5222, media: 7777, lan: true}
	if got := a.onLAN(netip.Addr{}, listener.ErrNoLAN).text(); !strings.Contains(got, "--host") || !strings.Contains(got, "host 127.0.0.1,") {
		t.Errorf("got %q, want loopback and what to give", got)
	}
	if got := a.onLAN(netip.MustParseAddr("192.168.1.7"), nil).text(); strings.Contains(got, "--host") || !strings.Contains(got, "host 192.168.1.7,") {
		t.Errorf("got %q, want the address found", got)
	}
}
