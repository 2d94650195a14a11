package e2e

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"culvert/internal/seal"
	"culvert/internal/session"
	"culvert/internal/wire"
	"culvert/origin"
)

func TestAnotherWebSocketImplementationSpeaksTheProtocol(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.origin()
	for door, addr := range map[string]string{"origin": o.addr, "edge": w.edge(o.addr).addr} {
		h := w.hand(addr, 7).talk(1)
		h.says("hello")
		h.says("there")
		h.finish()
		if err := <-w.up.ended; err != nil {
			t.Errorf("%s: upstream: %v", door, err)
		}
	}
}

// A second carrier joins what the first has agreed on, and takes its tunnel over.
func TestAnotherWebSocketImplementationBringsATunnelAlong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.origin()
	first := w.hand(o.addr, 7).talk(1)
	first.says("hello")
	second := *first
	second.hand = w.carrier(o.addr, 7, first.session)
	second.say()
	second.send(wire.Frame{Kind: wire.Use, Tunnel: 1, Num: 1, Code: wire.Alone})
	second.says("there")
	if got := second.carrier.State(); got != session.Live {
		t.Errorf("the carrier that joined is %v, want %v", got, session.Live)
	}
	first.conn.Close()
	second.says("again")
	second.finish()
	if err := <-w.up.ended; err != nil {
		t.Errorf("upstream: %v", err)
	}
}

// Whoever shares a link with a tunnel's client, or is another user, has sessions of
// their own, and no part in others'.
func TestOthersTunnelsCannotBeTouched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.origin()
	const id = 4711
	victim := w.hand(o.addr, 1).talk(id)
	victim.says("mine")
	for user, who := range map[uint32]string{1: "who has the link", 2: "another user"} {
		thief := w.hand(o.addr, user)
		for _, f := range []wire.Frame{
			{Kind: wire.Use, Tunnel: id, Num: 9, Code: wire.Alone | wire.Lost},
			{Kind: wire.Data, Tunnel: id, Pos: victim.pos, Body: []byte("theirs")},
			{Kind: wire.Fin, Tunnel: id, Pos: victim.pos},
		} {
			thief.send(f)
			if f := thief.want(wire.Reset); wire.Reason(f.Code) != wire.Unknown || f.Tunnel != id {
				t.Errorf("%s: got %v, want %v", who, wire.Reason(f.Code), wire.Unknown)
			}
		}
		thief.send(wire.Frame{Kind: wire.Reset, Tunnel: id, Code: byte(wire.Aborted)}, wire.Frame{Kind: wire.Ack, Tunnel: id, Pos: victim.pos, Num: 1})
		victim.says("still mine")
	}
}

// Whoever has copied a token and all that its carrier has sent comes second: a token and
// what follows it are good for one carrier.
func TestAStolenTokenIsAnOrdinaryVisit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for door, dial := range w.doors() {
		u := w.upgrade(w.token(1))
		c := dial()
		c.SetDeadline(time.Now().Add(patience))
		c.Write([]byte(u.String()))
		var b [12]byte
		if _, err := c.Read(b[:]); err != nil || string(b[:]) != "HTTP/1.1 101" {
			t.Fatalf("%s: got %q and %v, want an upgrade", door, b, err)
		}
		if got, want := answer(t, dial, u.method, u.String()), answer(t, dial, u.method, u.plain()); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", door, head(got), head(want))
		}
		c.Close()
	}
}

// What a client has agreed and opened by one carrier means nothing on another, whose
// token and challenge are others: nothing is dialled, and no tunnel begins.
func TestAReplayedOpeningIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	counters := prometheus.NewRegistry()
	o := w.origin(func(c *origin.Config) { c.Metrics = counters })
	pair, err := seal.NewClientPair(w.master.Client(1))
	must(t, err)
	victim := w.carrier(o.addr, 1, session.NewClient(pair, session.AESGCM))
	must(t, victim.take()) // the challenge, which an Agree answers
	victim.send(opening(11, order{Do: endFirst, Up: 0, Down: 4}))
	early := victim.sent
	victim.live()
	f := victim.want(wire.Data)
	f = victim.want(wire.Fin)
	victim.send(wire.Frame{Kind: wire.Fin, Tunnel: 11, Pos: uint64(orderLen)}, wire.Frame{Kind: wire.Ack, Tunnel: 11, Pos: f.Pos + 1})
	<-w.up.ended
	wantSoon(t, time.Minute, "the tunnel to end", func() bool { return gauge(t, counters, "culvert_tunnels") == 0 })
	for name, replayed := range map[string][][]byte{"the first flight": early, "everything": victim.sent} {
		thief := w.upgraded(o.addr, w.newToken(1, time.Now()))
		thief.replay(replayed)
		thief.wantNothing(name)
	}
	if got := w.up.live(); got != 0 {
		t.Errorf("got %d streams at the server, want none by a replay", got)
	}
	if got := gauge(t, counters, "culvert_tunnels"); got != 0 {
		t.Errorf("got %v tunnels, want none by a replay", got)
	}
}

func gauge(t testing.TB, r *prometheus.Registry, name string) float64 {
	t.Helper()
	all, err := r.Gather()
	must(t, err)
	for _, m := range all {
		if m.GetName() == name {
			return m.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func TestARevokedUserOpensNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.origin(revoke666)
	n := w.client(666, o.addr)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := n.WaitReady(ctx)
	if err == nil {
		t.Fatal("got a carrier, want none")
	}
	t.Log(err)
}

// Windows count bytes; buffers must not cost much more, whatever the size of
// the frames. It runs alone, as it measures the heap.
func TestSmallFramesDoNotFillTheOriginsMemory(t *testing.T) {
	w := newWorld(t)
	never := func(ctx context.Context, _ wire.Service) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	o := w.origin(func(c *origin.Config) { c.Dial = never })
	h := w.hand(o.addr, 1)
	before := heap()
	const tunnels, size = 8, 2100
	for id := uint32(1); id <= tunnels; id++ {
		h.send(opening(id, order{}))
		for pos := uint64(orderLen); pos+size <= wire.FirstWindow; pos += size {
			h.send(wire.Frame{Kind: wire.Data, Tunnel: id, Pos: pos, Body: make([]byte, size)})
		}
	}
	h.send(wire.Frame{Kind: wire.Fin, Tunnel: tunnels + 1}) // its answer comes after all else was read
	h.want(wire.Reset)
	each := (heap() - before) / tunnels
	t.Logf("%d KiB for each window of %d KiB", each>>10, wire.FirstWindow>>10)
	if each > 4*wire.FirstWindow {
		t.Errorf("got %d bytes a tunnel, want %d at most", each, 4*wire.FirstWindow)
	}
}
