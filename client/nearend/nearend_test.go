package nearend

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/client/listener"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/term"
	"culvert/test/nobody"
	"culvert/test/screen"
)

// deadFront refuses connections.
func deadFront(t *testing.T) link.Front {
	t.Helper()
	return link.Front{Host: nobody.Addr(t).String(), Path: "/"}
}

func TestConnectSaysWhyNotAndTriesOn(t *testing.T) {
	t.Parallel()
	l := &link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{deadFront(t)}}
	near, err := Open(t.Context(), l, Options{Chat: "127.0.0.1:0", Media: "127.0.0.1:0"}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out, done := screen.New(), make(chan error, 1)
	go func() { done <- near.run(ctx, term.NewConsole(out), time.Second) }()
	text := out.Await(t, "culvert doctor")
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
		o    Options
		want string
	}{
		"loopback":       {Options{Chat: "127.0.0.1:0", Media: "127.0.0.1:0"}, "host 127.0.0.1, chat port"},
		"all, not meant": {Options{Chat: ":0", Media: ":0"}, "host 127.0.0.1, chat port"},
		"a name given":   {Options{Chat: ":0", Media: ":0", LAN: true, Host: "proxy.lan"}, "host proxy.lan, chat port"},
		"raw alone":      {Options{Raw: "127.0.0.1:0"}, "Raw chat on 127.0.0.1:"},
	} {
		l := &link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{deadFront(t)}}
		near, err := Open(t.Context(), l, c.o, t.Output())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		near.Close()
		if got := said(near.App); !strings.Contains(got, c.want) || strings.Contains(got, "--lan") == (c.o.LAN || c.o.Raw != "") {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestWithoutALANAddressTheUserIsAskedForIt(t *testing.T) {
	t.Parallel()
	a := AppSettings{Chat: 5222, Media: 7777, lan: true}
	if got := said(a.onLAN(nil, listener.ErrNoLAN)); !strings.Contains(got, "--host") || !strings.Contains(got, "host 127.0.0.1,") {
		t.Errorf("got %q, want loopback and what to give", got)
	}
	if got := said(a.onLAN([]netip.Addr{netip.MustParseAddr("192.168.1.7")}, nil)); strings.Contains(got, "--host") || !strings.Contains(got, "host 192.168.1.7,") {
		t.Errorf("got %q, want the address found", got)
	}
	if got := said(a.onLAN([]netip.Addr{netip.MustParseAddr("192.168.1.7"), netip.MustParseAddr("10.0.0.3")}, nil)); !strings.Contains(got, "host 192.168.1.7,") || !strings.Contains(got, "--host 10.0.0.3\n") {
		t.Errorf("got %q, want the likeliest address, and how to name the other", got)
	}
}

// A machine may start before its network does, and take another address: whoever asks then is told of that one, unless the user
// has named a host.
func TestTheAddressForPhonesFollowsTheNetwork(t *testing.T) {
	t.Parallel()
	wifi := func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("192.168.1.7")}, nil }
	none := func() ([]netip.Addr, error) { return nil, listener.ErrNoLAN }
	everywhere := AppSettings{Host: "0.0.0.0", Chat: 5222, Media: 443, lan: true}
	a, err := everywhere.reachable("")
	if err != nil {
		t.Fatal(err)
	}
	if got := a.current(none); got.Host != "127.0.0.1" || !got.unnamed {
		t.Errorf("without a network: got %q", got.Host)
	}
	if got := a.current(none).current(wifi); got.Host != "192.168.1.7" || got.unnamed {
		t.Errorf("when there is one: got %q", got.Host)
	}
	named, err := everywhere.reachable("home.example")
	if got := named.current(wifi); err != nil || got.Host != "home.example" {
		t.Errorf("by name: got %q, %v", got.Host, err)
	}
}

func TestTheAppsLinkSaysAllThatTheAppWouldGuess(t *testing.T) {
	t.Parallel()
	got, err := AppSettings{Host: "192.168.1.7", Chat: 5222, Media: 7777}.link()
	want := "https://wa.me/proxy?host=192.168.1.7&chatPort=5222&mediaPort=7777&chatTLS=false"
	if err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	for _, host := range []string{"", "::1", "[2001:db8::1]", "a:80", "0.0.0.0"} {
		if got, err := (AppSettings{Host: host, Chat: 5222, Media: 7777}).link(); err == nil {
			t.Errorf("%q: got %s, want an error", host, got)
		}
	}
	if got, err := (AppSettings{Host: "a", Media: 7777}).link(); err == nil {
		t.Errorf("got %s without a port, want an error", got)
	}
}

func TestNoNumberOfGuestsIsRefused(t *testing.T) {
	t.Parallel()
	l := &link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{deadFront(t)}}
	if _, err := Open(t.Context(), l, Options{Guests: -1}, t.Output()); err == nil || !strings.Contains(err.Error(), "--max-guests") {
		t.Errorf("got %v, want what to change", err)
	}
}

func TestBrowsersHaveAListenerOfTheirOwn(t *testing.T) {
	t.Parallel()
	o := AnyPorts
	o.Web = "127.0.0.1:0"
	mine, another := &link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{deadFront(t)}}, &link.Link{Keys: seal.NewMaster().Client(1)}
	near, err := Open(t.Context(), mine, o, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	text := said(near.App)
	if web := near.App.Web(); web == "" || slices.Contains(near.Addresses(), web) || len(near.Addresses()) != 2 ||
		!strings.Contains(text, "\n  "+web+"\n") || !strings.Contains(text, "http://"+web+"/") || !strings.Contains(text, "/proxy.pac\n") {
		t.Errorf("got %q beside %v, want an address of its own in %q", web, near.Addresses(), text)
	}
	if again := *mine; scriptOf(mine) != scriptOf(&again) || scriptOf(mine) == scriptOf(another) {
		t.Errorf("got %s and %s, want a path for each link", scriptOf(mine), scriptOf(another))
	}
}

// Ports that the app is not told of serve as the others do.
func TestFurtherPortsServeAndLeaveTheAppsSettingAsItIs(t *testing.T) {
	t.Parallel()
	o := AnyPorts
	o.Also = []string{"127.0.0.1:0", "127.0.0.1:0"}
	l := &link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{deadFront(t)}}
	near, err := Open(t.Context(), l, o, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	all := near.Addresses()
	told := fmt.Sprint(near.App.Chat, " ", near.App.Media)
	if len(all) != 4 || told != portOf(all[0])+" "+portOf(all[1]) {
		t.Fatalf("got %q, and the app is told %s, want the first two of four", all, told)
	}
	if text := said(near.App); !strings.Contains(text, "also come by: "+portOf(all[2])+", "+portOf(all[3])) {
		t.Errorf("got %q, want the further ports", text)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- near.Serve(ctx) }()
	for _, at := range all[2:] {
		q, _ := http.NewRequest(http.MethodGet, "http://"+at+"/", nil)
		q.Header.Set("Upgrade-Insecure-Requests", "1") // a person's browser
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		if r.Body.Close(); r.StatusCode != http.StatusOK {
			t.Errorf("%s: got %s, want the household's page", at, r.Status)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// said is what a person is told of a.
func said(a AppSettings) string {
	var b strings.Builder
	a.tell(term.NewTestConsole(&b, false))
	return b.String()
}
