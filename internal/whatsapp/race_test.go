package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/wire"
)

// network is an internet for tests: which names there are, and what dialling
// their addresses does.
type network struct {
	names map[string][]string      // "ip4 host": addresses
	slow  map[string]time.Duration // the same keys: how long an answer takes
	dials map[string]behaviour     // host:port; the zero behaviour refuses at once

	mu    sync.Mutex
	log   []string // addresses dialled, with the time since the start
	start time.Time
	open  int // connections not closed
}

type behaviour struct {
	after   time.Duration
	connect bool
	hang    bool // until the context ends
}

func (n *network) upstream() *Upstream {
	n.start = time.Now()
	return &Upstream{LookupIP: n.lookup, DialAddr: n.dial}
}

func (n *network) lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	key := network + " " + host
	select {
	case <-time.After(n.slow[key]):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var addrs []netip.Addr
	for _, a := range n.names[key] {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	if addrs == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

func (n *network) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	n.mu.Lock()
	n.log = append(n.log, fmt.Sprintf("%s %s", time.Since(n.start), addr))
	b := n.dials[addr]
	n.mu.Unlock()
	if b.hang {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
	}
	select {
	case <-time.After(b.after):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if !b.connect {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr)), Err: syscall.ECONNREFUSED}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open++
	return &fakeConn{addr: addr, n: n}, nil
}

type fakeConn struct {
	net.Conn
	addr string
	n    *network
}

func (c *fakeConn) Close() error {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	c.n.open--
	return nil
}

const (
	g4, g6   = "157.240.0.1", "2a03:2880::1"
	gf4, gf6 = "157.240.0.2", "2a03:2880::2"
	m4, m6   = "157.240.0.3", "2a03:2880::3"
	w4       = "157.240.0.4"
)

func dualStack() map[string][]string {
	return map[string][]string{
		"ip4 g.whatsapp.net": {g4}, "ip6 g.whatsapp.net": {g6},
		"ip4 g-fallback.whatsapp.net": {gf4}, "ip6 g-fallback.whatsapp.net": {gf6},
		"ip4 mmg.whatsapp.net": {m4}, "ip6 mmg.whatsapp.net": {m6},
		"ip4 whatsapp.net": {w4},
	}
}

func ap(addr string, port string) string { return net.JoinHostPort(addr, port) }

var chat = wire.Service{Kind: wire.Chat}

// won is the address that a dial connected to; the connection is closed.
func won(t *testing.T, u *Upstream, s wire.Service) string {
	t.Helper()
	conn, err := u.Dial(t.Context(), s)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	defer conn.Close()
	return conn.(*fakeConn).addr
}

func wantLog(t *testing.T, n *network, want ...string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Equal(n.log, want) {
		t.Errorf("dialled:\n got %s\nwant %s", strings.Join(n.log, "\n     "), strings.Join(want, "\n     "))
	}
	if n.open != 0 {
		t.Errorf("got %d connections left open, want 0", n.open)
	}
	n.log = nil
}

func TestChatTakesTheFirstAddressThatConnects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{names: dualStack(), dials: map[string]behaviour{ap(g6, "5222"): {connect: true}}}
		if got, want := won(t, n.upstream(), chat), ap(g6, "5222"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		wantLog(t, n, "0s [2a03:2880::1]:5222")
	})
}

func TestWhenTheFirstHangsTheSecondStartsAfter250ms(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{names: dualStack(), dials: map[string]behaviour{
			ap(g6, "5222"): {hang: true}, ap(g4, "5222"): {after: 100 * time.Millisecond, connect: true},
		}}
		u := n.upstream()
		if got, want := won(t, u, chat), ap(g4, "5222"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := time.Since(n.start), 350*time.Millisecond; got != want {
			t.Errorf("took %s, want %s", got, want)
		}
		wantLog(t, n, "0s [2a03:2880::1]:5222", "250ms 157.240.0.1:5222")
	})
}

func TestWhenOneFailsTheNextStartsAtOnceAndFamiliesAlternate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{names: dualStack(), dials: everywhere(behaviour{after: time.Millisecond})}
		n.dials[ap(gf4, "80")] = behaviour{connect: true}
		if got, want := won(t, n.upstream(), chat), ap(gf4, "80"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		wantLog(t, n,
			"0s [2a03:2880::1]:5222", "1ms 157.240.0.1:5222", "2ms [2a03:2880::1]:443", "3ms 157.240.0.1:443",
			"4ms [2a03:2880::2]:5222", "5ms 157.240.0.2:5222", "6ms [2a03:2880::2]:443", "7ms 157.240.0.2:443",
			"8ms [2a03:2880::1]:80", "9ms 157.240.0.1:80", "10ms [2a03:2880::2]:80", "11ms 157.240.0.2:80")
	})
}

func TestALateWinnerIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{names: dualStack(), dials: map[string]behaviour{
			ap(g6, "5222"): {after: 300 * time.Millisecond, connect: true}, ap(g4, "5222"): {after: 50 * time.Millisecond, connect: true},
		}}
		won(t, n.upstream(), chat)
		time.Sleep(time.Second) // inside the bubble: nothing is left that could connect later
		wantLog(t, n, "0s [2a03:2880::1]:5222", "250ms 157.240.0.1:5222")
	})
}

func TestIPv4WaitsALittleForIPv6sAddresses(t *testing.T) {
	t.Parallel()
	for slow, want := range map[time.Duration]string{
		30 * time.Millisecond: "30ms [2a03:2880::3]:443",
		time.Second:           "50ms 157.240.0.3:443",
		6 * time.Second:       "50ms 157.240.0.3:443",
	} {
		synctest.Test(t, func(t *testing.T) {
			n := &network{
				names: dualStack(), slow: map[string]time.Duration{"ip6 mmg.whatsapp.net": slow},
				dials: map[string]behaviour{ap(m4, "443"): {connect: true}, ap(m6, "443"): {connect: true}},
			}
			won(t, n.upstream(), wire.Service{Kind: wire.Media, Host: "mmg.whatsapp.net"})
			wantLog(t, n, want)
		})
	}
}

func TestAnIPv4OnlyNameIsDialledAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{names: dualStack(), dials: map[string]behaviour{ap(w4, "443"): {connect: true}}}
		won(t, n.upstream(), wire.Service{Kind: wire.Media})
		wantLog(t, n, "0s 157.240.0.4:443")
	})
}

func TestTheLastGoodChoiceComesFirstForTenMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{names: dualStack(), dials: map[string]behaviour{ap(g4, "443"): {connect: true}}}
		u := n.upstream()
		won(t, u, chat)
		n.log, n.start = nil, time.Now()

		n.names = nil // no lookup is needed
		won(t, u, chat)
		wantLog(t, n, "0s 157.240.0.1:443")

		time.Sleep(choiceLife + time.Second)
		n.names, n.start = dualStack(), time.Now()
		won(t, u, chat)
		wantLog(t, n, "0s [2a03:2880::1]:5222", "0s 157.240.0.1:5222", "0s [2a03:2880::1]:443", "0s 157.240.0.1:443")
	})
}

func TestALastGoodChoiceThatHangsOrFailsCostsNoMoreThanOneTurn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		then behaviour
		log  []string
	}{
		"hangs": {behaviour{hang: true}, []string{"0s [2a03:2880::1]:5222", "250ms 157.240.0.1:5222"}},
		"fails": {behaviour{after: 10 * time.Millisecond}, []string{"0s [2a03:2880::1]:5222", "10ms 157.240.0.1:5222"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := &network{names: dualStack(), dials: map[string]behaviour{ap(g6, "5222"): {connect: true}, ap(g4, "5222"): {connect: true}}}
			u := n.upstream()
			won(t, u, chat)
			n.log, n.start = nil, time.Now()
			n.dials[ap(g6, "5222")] = c.then
			if got, want := won(t, u, chat), ap(g4, "5222"); got != want {
				t.Errorf("%s: got %s, want %s", name, got, want)
			}
			wantLog(t, n, c.log...)
		})
	}
}

func TestWhenAllFailTheErrorSaysWhyAndNamesNobody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		n      *network
		s      wire.Service
		is     error
		within time.Duration
	}{
		"refused":       {&network{names: dualStack()}, chat, syscall.ECONNREFUSED, 0},
		"all hang":      {&network{names: dualStack(), dials: everywhere(behaviour{hang: true})}, chat, ErrUnreachable, raceWait},
		"no such names": {&network{}, wire.Service{Kind: wire.Web, Host: "web.whatsapp.com"}, ErrUnreachable, 0},
		"resolver hangs": {&network{slow: map[string]time.Duration{"ip4 web.whatsapp.com": time.Hour, "ip6 web.whatsapp.com": time.Hour}},
			wire.Service{Kind: wire.Web, Host: "web.whatsapp.com"}, ErrUnreachable, attemptWait},
	} {
		synctest.Test(t, func(t *testing.T) {
			conn, err := c.n.upstream().Dial(t.Context(), c.s)
			if conn != nil || !errors.Is(err, ErrUnreachable) || !errors.Is(err, c.is) {
				t.Errorf("%s: got %v and %v, want no connection and %v", name, conn, err, c.is)
			}
			if s := fmt.Sprint(err); strings.Contains(s, "157.") || strings.Contains(s, "2a03") || strings.Contains(s, ".whatsapp.") {
				t.Errorf("%s: got an error that names an address or host: %s", name, s)
			}
			if took := time.Since(c.n.start); took > c.within {
				t.Errorf("%s: took %s, want at most %s", name, took, c.within)
			}
		})
	}
}

// everywhere is b at every address of chat.
func everywhere(b behaviour) map[string]behaviour {
	all := make(map[string]behaviour)
	for _, a := range []string{g4, g6, gf4, gf6} {
		for _, p := range []string{"443", "5222", "80"} {
			all[ap(a, p)] = b
		}
	}
	return all
}

func TestACallerThatGivesUpIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &network{names: dualStack(), dials: everywhere(behaviour{hang: true})}
		u := n.upstream()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(700*time.Millisecond, cancel)
		if _, err := u.Dial(ctx, chat); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		if got, want := time.Since(n.start), 700*time.Millisecond; got != want {
			t.Errorf("took %s, want %s", got, want)
		}
		wantLog(t, n, "0s [2a03:2880::1]:5222", "250ms 157.240.0.1:5222", "500ms [2a03:2880::1]:443")
	})
}
