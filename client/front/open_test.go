package front

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"culvert/internal/link"
)

// An address that accepts TCP proves nothing. One that goes no further costs a little once,
// and nothing later.
func TestAnAddressWhereOnlyTCPWorksIsPassedOverAndThenLeftAlone(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]behaviour{
		"silent": isSilent, "reset": resets, "silent after the handshake": isSilentInTLS, "cut after the handshake": cutsInTLS,
		"of another certificate": isAnother,
	} {
		for _, rtt := range []time.Duration{0, 110 * time.Millisecond, 600 * time.Millisecond} {
			for how, f := range map[string]link.Front{
				"two of dial": pinnedTo("front.example", "192.0.2.1:443", "192.0.2.2:443"),
				"one name":    pinnedTo("a.example"),
			} {
				synctest.Test(t, func(t *testing.T) {
					n := &fakeNet{
						names: map[string][]string{"a.example": {"192.0.2.1", "192.0.2.2"}},
						alive: map[string]site{"192.0.2.1:443": {rtt, bad}, "192.0.2.2:443": {rtt, greets}},
					}
					d := n.dialer()
					for i, most := range []time.Duration{5 * time.Second, rtt} {
						n.clear()
						start := time.Now()
						if err := open(t, d, f); err != nil {
							t.Errorf("%s, %s: got %v", name, how, err)
						}
						if got := time.Since(start); got > most {
							t.Errorf("%s, %s, round trip %v, time %d: took %v, want at most %v", name, how, rtt, i+1, got, most)
						}
					}
					if got := n.log(); got != "192.0.2.2:443" {
						t.Errorf("%s, %s, round trip %v: the second time it dialed %s, want the good address alone", name, how, rtt, got)
					}
				})
			}
		}
	}
}

// A good address is tried alone while it answers within a few of its round trips.
func TestASecondAddressIsNotTroubledWhileTheFirstAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNet{alive: map[string]site{"192.0.2.1:443": {takes: 200 * time.Millisecond}, "192.0.2.2:443": {}}}
		if err := open(t, n.dialer(), pinnedTo("front.example", "192.0.2.1:443", "192.0.2.2:443")); err != nil {
			t.Fatal(err)
		}
		if got := n.log(); got != "192.0.2.1:443" {
			t.Errorf("dialed %s, want the first alone", got)
		}
	})
}

// Addresses that lost the race for TCP to one that then failed are no worse for it.
func TestALoserOfTheRaceIsTriedAgainWhenTheWinnerFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNet{alive: map[string]site{
			"192.0.2.1:443": {takes: 700 * time.Millisecond}, "192.0.2.2:443": {takes: 300 * time.Millisecond, does: resets},
		}}
		if err := open(t, n.dialer(), pinnedTo("front.example", "192.0.2.1:443", "192.0.2.2:443")); err != nil {
			t.Error(err)
		}
	})
}

// What a front itself says is said by all of its addresses, and each answer costs whoever
// runs it.
func TestARefusalIsNotAskedForAtTheNextAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNet{alive: map[string]site{"192.0.2.1:443": {does: refuses}, "192.0.2.2:443": {}}}
		start := time.Now()
		err := open(t, n.dialer(), pinnedTo("front.example", "192.0.2.1:443", "192.0.2.2:443"))
		if got := n.log(); !errors.Is(err, errRefused) || got != "192.0.2.1:443" || time.Since(start) != 0 {
			t.Errorf("got %v by %s after %v, want a refusal by the first alone at once", err, got, time.Since(start))
		}
	})
}

// The error is that of the step that went furthest, with the way as far.
func TestTheErrorIsThatOfTheFurthestStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNet{
			alive: map[string]site{"192.0.2.2:443": {does: cutsInTLS}, "192.0.2.3:443": {does: isAnother}},
			dead:  map[string]bool{"192.0.2.1:443": true},
		}
		way, err := openWay(t, n.dialer(), pinnedTo("front.example", "192.0.2.1:443", "192.0.2.2:443", "192.0.2.3:443"))
		var e *Error
		if !errors.As(err, &e) || e.Step() != StepUpgrade || len(way.Took) != 2 || len(way.State.PeerCertificates) == 0 {
			t.Errorf("got %v, %+v, want the upgrade's and two steps passed", err, way)
		}
	})
}

func TestOpenEndsWithItsContextAndLeavesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNet{alive: map[string]site{"192.0.2.1:443": {does: isSilent}, "192.0.2.2:443": {does: isSilentInTLS}}}
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		start := time.Now()
		_, _, err := Open(ctx, n.dialer(), pinnedTo("front.example", "192.0.2.1:443", "192.0.2.2:443"), readGreeting)
		if got := time.Since(start); err == nil || got != 4*time.Second {
			t.Errorf("got %v after %v, want an error after 4 s", err, got)
		}
	})
}

// A middlebox resets every ClientHello that takes two packets.
func TestAResetLargeClientHelloIsReplacedByASmallerOneWhileThatWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNet{alive: map[string]site{"192.0.2.1:443": {does: resetsLarge}}}
		d, f := n.dialer(), pinnedTo("192.0.2.1")
		for i, want := range []string{"LLs", "s", "s"} {
			n.clear()
			if err := open(t, d, f); err != nil {
				t.Errorf("time %d: %v", i+1, err)
			}
			if got := n.sizes(); got != want {
				t.Errorf("time %d: got ClientHellos %s, want %s", i+1, got, want)
			}
		}
		n.alive["192.0.2.1:443"] = site{does: resets}
		for i, want := range []string{"s", "LLs", "LLs"} { // all are reset now: nothing is remembered
			n.clear()
			err := open(t, d, f)
			checkError(t, "all reset", err, "TLS: the connection broke off")
			if got := n.sizes(); got != want {
				t.Errorf("all reset, time %d: got ClientHellos %s, want %s", i+1, got, want)
			}
		}
		n.alive["192.0.2.1:443"] = site{}
		n.clear()
		if err := open(t, d, f); err != nil || n.sizes() != "L" {
			t.Errorf("got %v, %s, want a whole ClientHello again", err, n.sizes())
		}
	})
}

// One reset is chance, or the address's fault.
func TestOneResetDoesNotMakeTheClientHelloSmaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNet{alive: map[string]site{"192.0.2.1:443": {does: resetsLarge}, "192.0.2.2:443": {}}}
		d, f := n.dialer(), pinnedTo("front.example", "192.0.2.1:443", "192.0.2.2:443")
		for i, want := range []string{"LL", "L"} {
			n.clear()
			if err := open(t, d, f); err != nil || n.sizes() != want {
				t.Errorf("time %d: got %v, %s, want %s", i+1, err, n.sizes(), want)
			}
		}
	})
}

// deafResolver is a resolver of one network, spoken to by Go's own client, that drops what
// is asked for one family.
func deafResolver(t *testing.T, drops dnsmessage.Type) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			if answer := answerDNS(b[:n], drops); answer != nil {
				server.WriteTo(answer, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("udp", server.LocalAddr().String())
	}}
}

func answerDNS(question []byte, drops dnsmessage.Type) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 || m.Questions[0].Type == drops {
		return nil
	}
	head := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 60}
	var body dnsmessage.ResourceBody = &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}
	if m.Questions[0].Type == dnsmessage.TypeAAAA {
		body = &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:db8::1").As16()}
	}
	m.Response, m.Answers, m.Additionals = true, []dnsmessage.Resource{{Header: head, Body: body}}, nil
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return b
}

// The families are asked for apart: one of them answers.
func TestAResolverThatDropsOneFamilyDelaysNothing(t *testing.T) {
	t.Parallel()
	for drops, want := range map[dnsmessage.Type]string{dnsmessage.TypeAAAA: "192.0.2.1:443", dnsmessage.TypeA: "[2001:db8::1]:443"} {
		t.Run(drops.String(), func(t *testing.T) {
			t.Parallel()
			n := &fakeNet{alive: map[string]site{want: {}}}
			d := n.dialer()
			d.lookup = deafResolver(t, drops).LookupNetIP
			start := time.Now()
			err := open(t, d, pinnedTo("front.example"))
			if got := time.Since(start); err != nil || got > time.Second {
				t.Errorf("got %v after %v, want an answer within 1 s", err, got)
			}
			if got := n.log(); got != want {
				t.Errorf("dialed %s, want %s", got, want)
			}
		})
	}
}

// A blocked front may be reset at each of its addresses; the attempts have a bound.
func TestAFrontThatIsResetEverywhereIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNet{alive: map[string]site{}}
		f := pinnedTo("front.example")
		for i := range 8 {
			address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 443).String()
			n.alive[address] = site{does: resets}
			f.Dial = append(f.Dial, address)
		}
		err := open(t, n.dialer(), f)
		if got := len(strings.Fields(n.log())); err == nil || got != 10 {
			t.Errorf("got %v after %d connections, want 8 and 2 by a smaller ClientHello", err, got)
		}
	})
}
