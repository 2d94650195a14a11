package whatsapp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"

	"culvert/internal/wire"
	"culvert/test/standin/standintest"
)

func TestMediaFallsBackToWhatsappNet(t *testing.T) {
	t.Parallel()
	media := wire.Service{Kind: wire.Media, Host: "mmg.whatsapp.net"}
	for name, c := range map[string]struct {
		host behaviour
		gone bool
		at   string
	}{
		"host not resolvable": {gone: true, at: "0s"},
		"host refuses":        {at: "0s"},
		"host hangs":          {host: behaviour{hang: true}, at: "2s"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := &network{names: dualStack(), dials: map[string]behaviour{
				ap(w4, "443"): {connect: true}, ap(m4, "443"): c.host, ap(m6, "443"): c.host,
			}}
			if c.gone {
				delete(n.names, "ip4 mmg.whatsapp.net")
				delete(n.names, "ip6 mmg.whatsapp.net")
			}
			u := n.upstream()
			won(t, u, media)
			if got, want := n.log[len(n.log)-1], c.at+" "+ap(w4, "443"); got != want {
				t.Errorf("%s: got last dial %q, want %q", name, got, want)
			}
			if _, ok := u.good.get("media mmg.whatsapp.net"); ok {
				t.Errorf("%s: got the fallback remembered, want the host asked again", name)
			}
		})
	}
}

func TestHostsThatAreNotWhatsAppsAreNotAllowed(t *testing.T) {
	t.Parallel()
	for _, u := range []*Upstream{{}, {Chat: "127.0.0.1:1", Media: "127.0.0.1:1", Web: "127.0.0.1:1", AllowPrivate: true}} {
		for _, s := range []wire.Service{
			{Kind: wire.Media, Host: "evil.com"}, {Kind: wire.Media, Host: "127.0.0.1"}, {Kind: wire.Media, Host: "whatsapp.net.evil.com"},
			{Kind: wire.Web}, {Kind: wire.Web, Host: "evil.com"}, {Kind: wire.Web, Host: "web.whatsapp.com:22"}, {}, {Kind: 9, Host: "g.whatsapp.net"},
		} {
			if _, err := u.Dial(t.Context(), s); !errors.Is(err, ErrNotAllowed) {
				t.Errorf("%v: got %v, want ErrNotAllowed", s, err)
			}
		}
	}
}

func TestPrivateAddressesAreNotDialled(t *testing.T) {
	t.Parallel()
	for _, a := range []string{"127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "fd00:ec2::254", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe"} {
		family := "ip6 "
		if netip.MustParseAddr(a).Unmap().Is4() {
			family = "ip4 "
		}
		n := &network{names: map[string][]string{family + "web.whatsapp.com": {a}}}
		if _, err := n.upstream().Dial(t.Context(), wire.Service{Kind: wire.Web, Host: "web.whatsapp.com"}); !errors.Is(err, ErrNotPublic) {
			t.Errorf("%s: got %v, want ErrNotPublic", a, err)
		}
		wantLog(t, n)
		u := &Upstream{Chat: ap(a, "5222"), DialAddr: n.dial}
		if _, err := u.Dial(t.Context(), chat); !errors.Is(err, ErrNotPublic) {
			t.Errorf("replacement %s: got %v, want ErrNotPublic", a, err)
		}
		wantLog(t, n)
	}
}

func TestAPrivateAddressBesideAPublicOneIsPassedOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{names: map[string][]string{"ip4 whatsapp.net": {"10.0.0.1", w4}}, dials: map[string]behaviour{ap(w4, "443"): {connect: true}}}
		won(t, n.upstream(), wire.Service{Kind: wire.Media})
		wantLog(t, n, "0s 157.240.0.4:443")
	})
}

// The name was public when it was looked up; what counts is what is dialled.
func TestTheDialerItselfRefusesPrivateAddresses(t *testing.T) {
	t.Parallel()
	l := standintest.Loopback(t)
	addr := netip.MustParseAddrPort(l.Addr().String())
	conn, err := (&Upstream{}).dial(t.Context(), addr)
	if conn != nil || !errors.Is(err, ErrNotPublic) {
		t.Errorf("got %v and %v, want no connection and ErrNotPublic", conn, err)
	}
}

func TestReplacementsAreDialledIfPrivateAddressesAreAllowed(t *testing.T) {
	t.Parallel()
	l := standintest.Loopback(t)
	u := &Upstream{Chat: l.Addr().String(), Media: l.Addr().String(), Web: l.Addr().String(), AllowPrivate: true}
	for _, s := range []wire.Service{chat, {Kind: wire.Media}, {Kind: wire.Media, Host: "mmg.whatsapp.net"}, {Kind: wire.Web, Host: "web.whatsapp.com"}} {
		conn, err := u.Dial(t.Context(), s)
		if err != nil {
			t.Fatalf("%s: %v", s.Kind, err)
		}
		if got, want := conn.RemoteAddr().String(), l.Addr().String(); got != want {
			t.Errorf("%s: got %s, want %s", s.Kind, got, want)
		}
		conn.Close()
	}
}

func TestReplacementsMustBeHostAndPort(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"host", ":5222", "host:", "host:0", "host:65536", "host:x", "host:-1", "a:b:c", "https://host"} {
		for _, u := range []*Upstream{{Chat: bad}, {Media: bad}, {Web: bad}} {
			if u.Check() == nil {
				t.Errorf("%q: got nil, want an error", bad)
			}
		}
		if _, err := (&Upstream{Chat: bad}).Dial(t.Context(), chat); !errors.Is(err, ErrUnreachable) {
			t.Errorf("dial %q: got %v, want ErrUnreachable", bad, err)
		}
	}
	if err := (&Upstream{Chat: "host:5222", Media: "[::1]:443"}).Check(); err != nil {
		t.Errorf("good replacements: got %v, want nil", err)
	}
}

func TestNoMoreThanSomeChoicesAreRemembered(t *testing.T) {
	t.Parallel()
	var m memory
	for i := range 3 * maxChoices {
		m.put(fmt.Sprint(i), netip.MustParseAddrPort("1.1.1.1:443"))
	}
	if len(m.at) > maxChoices {
		t.Errorf("got %d choices, want at most %d", len(m.at), maxChoices)
	}
	if _, ok := m.get(fmt.Sprint(3*maxChoices - 1)); !ok {
		t.Error("got the newest forgotten, want it kept")
	}
}

// By the system's resolver and dialer, as in an origin.
func TestAReplacementMayBeAName(t *testing.T) {
	t.Parallel()
	_, port, _ := net.SplitHostPort(standintest.Loopback(t).Addr().String())
	u := &Upstream{Chat: "localhost:" + port, AllowPrivate: true}
	for range 2 {
		conn, err := u.Dial(t.Context(), chat)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	if _, err := (&Upstream{Chat: "localhost:" + port}).Dial(t.Context(), chat); !errors.Is(err, ErrNotPublic) {
		t.Errorf("without AllowPrivate: got %v, want ErrNotPublic", err)
	}
}
