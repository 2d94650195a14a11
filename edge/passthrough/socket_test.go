package passthrough

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"culvert/internal/wire"
	"culvert/test/frames"
)

func TestBytesBesideTheHeadersAreNotLost(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		const up, down = "sent before the answer", "sent with the answer"
		r := newRig(t, secure, rawDoor(down, func(c net.Conn, in *bufio.Reader) {
			got := make([]byte, len(up))
			io.ReadFull(in, got)
			c.Write(got)
		}), Options{})
		c := r.dial(t)
		in := ask(t, c, upgrade+"\r\n"+up, http.StatusSwitchingProtocols)
		got, err := io.ReadAll(in)
		if want := down + up; string(got) != want || err != nil {
			t.Errorf("got %q and %v, want %q", got, err, want)
		}
	})
}

func TestAHalfClosedSocketGoesOnTheOtherWay(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		const last = "what was left to say"
		byUser := newRig(t, secure, rawDoor("", func(c net.Conn, in *bufio.Reader) {
			io.Copy(io.Discard, in) // until the user has ended
			io.WriteString(c, last)
		}), Options{})
		c, in := byUser.open(t)
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(in); string(got) != last || err != nil {
			t.Errorf("after the user's end: got %q and %v, want %q", got, err, last)
		}

		heard := make(chan string, 1)
		byOrigin := newRig(t, secure, rawDoor("", func(c net.Conn, in *bufio.Reader) {
			c.(interface{ CloseWrite() error }).CloseWrite()
			b, _ := io.ReadAll(in)
			heard <- string(b)
		}), Options{})
		c, in = byOrigin.open(t)
		if got, err := io.ReadAll(in); len(got) > 0 || err != nil {
			t.Errorf("got %q and %v, want an end", got, err)
		}
		io.WriteString(c, last)
		c.Close()
		if got := <-heard; got != last {
			t.Errorf("after the origin's end: got %q, want %q", got, last)
		}
	})
}

func TestTheDeathOfEitherEndIsTheDeathOfTheOther(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		ended := make(chan error, 1)
		r := newRig(t, secure, rawDoor("x", func(c net.Conn, in *bufio.Reader) {
			_, err := in.ReadByte()
			ended <- err
		}), Options{})
		c, in := r.open(t)
		in.ReadByte()
		reset(c)
		if err := <-ended; err == nil {
			t.Error("got a byte at the origin, want an end")
		}

		r = newRig(t, secure, rawDoor("x", func(c net.Conn, in *bufio.Reader) { reset(c) }), Options{})
		_, in = r.open(t)
		in.ReadByte()
		if _, err := in.ReadByte(); err == nil {
			t.Error("got a byte at the user, want an end")
		}
	})
}

// reset ends a connection as a dying machine does.
func reset(c net.Conn) {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// holdDoor keeps sockets until their peer ends them.
func holdDoor() http.Handler {
	return rawDoor("x", func(c net.Conn, in *bufio.Reader) { in.ReadByte() })
}

// Periods end here when the test says so, however slow the machine is.
func TestASocketThatIsIdleEndsAndOneThatMovesDoesNot(t *testing.T) {
	t.Parallel()
	r := newRig(t, false, http.HandlerFunc(echoDoor), Options{Idle: time.Hour})
	c, in := r.open(t)
	for range 5 {
		c.Write(frames.Masked(frames.Ping, true, nil))
		if _, _, err := frames.Read(in, 0); err != nil {
			t.Fatalf("while moving: got %v, want a pong", err)
		}
		r.endPeriod()
	}
	r.endPeriod()
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("while idle: got %v, want an end", err)
	}
}

// endPeriod is the end of a period of all sockets.
func (r *rig) endPeriod() {
	all := &r.proxy.sockets
	all.mu.Lock()
	open := slices.Collect(maps.Keys(all.open))
	all.mu.Unlock()
	for _, part := range open {
		if s, ok := part.(*socket); ok {
			s.idle()
		}
	}
}

func TestAnIdleSocketEndsByItself(t *testing.T) {
	t.Parallel()
	counters := prometheus.NewRegistry()
	r := newRig(t, false, http.HandlerFunc(echoDoor), Options{Idle: 50 * time.Millisecond, Metrics: counters})
	c := r.dial(t)
	io.WriteString(c, upgrade+"\r\n")
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("got %v, want an end", err)
	}
	families, err := counters.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if n := f.GetMetric()[0].GetCounter().GetValue(); f.GetName() == "culvert_edge_sockets_idle_total" && n != 1 {
			t.Errorf("got %v sockets counted that were idle, want 1", n)
		}
	}
}

func TestDrainLetsSocketsFinish(t *testing.T) {
	t.Parallel()
	r := newRig(t, false, holdDoor(), Options{})
	c, in := r.open(t)
	in.ReadByte()
	done := make(chan error, 1)
	go func() { done <- r.proxy.Drain(context.Background()) }()
	c.Close()
	if err := <-done; err != nil {
		t.Errorf("got %v, want none", err)
	}
	ask(t, r.dial(t), strings.Replace(upgrade, "/door", "/", 1)+"\r\n", http.StatusOK) // the site
}

func TestDrainCutsWhatDoesNotFinish(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		r := newRig(t, secure, holdDoor(), Options{})
		_, in := r.open(t)
		in.ReadByte()
		late, cancel := context.WithCancel(context.Background())
		cancel()
		if err := r.proxy.Drain(late); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		if _, err := in.ReadByte(); err == nil {
			t.Error("got a byte, want an end")
		}
	})
}

// The oldest socket of whoever has most gives way to another.
func TestSocketsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, false, holdDoor(), Options{MaxSockets: 1})
	_, first := r.open(t)
	first.ReadByte()
	_, second := r.open(t)
	second.ReadByte()
	if _, err := first.ReadByte(); err == nil {
		t.Error("got a byte of the first socket, want its end")
	}
	waitFor(t, func() bool { return r.proxy.sockets.count() == 1 && r.proxy.users.Len() == 1 })
}

// Sockets that the origin has admitted count for their user.
func TestASocketIsOfTheUserWhoseTokenItIs(t *testing.T) {
	t.Parallel()
	token := wire.NewToken(77, wire.TokenKey{}, [32]byte{}, time.Now())
	for _, cookie := range []string{token.Text(), token.WithAhead([]byte("a first message"))} {
		r := &http.Request{Header: http.Header{"Cookie": {wire.TokenCookie + "=" + cookie}}}
		if got := userOf(r); got != 77 {
			t.Errorf("got user %d, want 77", got)
		}
	}
	if got := userOf(&http.Request{Header: http.Header{"Cookie": {wire.TokenCookie + "=x"}}}); got != 0 {
		t.Errorf("got user %d of garbage, want none", got)
	}
}

func TestIdleSocketsHoldNoLargeBuffer(t *testing.T) {
	const sockets = 100
	bounds := map[bool]int{false: 80 << 10, true: 120 << 10} // both HTTP servers' and the client's parts included
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		r := newRig(t, secure, holdDoor(), Options{})
		before := heap()
		for range sockets {
			r.open(t)
		}
		each := (heap() - before) / sockets
		t.Logf("%s: %d bytes a socket", name, each)
		if each > bounds[secure] {
			t.Errorf("%s: got %d bytes a socket, want at most %d", name, each, bounds[secure])
		}
	}
}
