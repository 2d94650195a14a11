package e2e

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/internal/serve"
	"culvert/test/emulator"
)

// streamDoor is the stream door of a's origin, in TLS.
func (a *api) streamDoor(w *world) process {
	return w.serve(tls.NewListener(a.Wrap(w.net.listen(w)), serverTLS(certificate())), serve.Service{Handler: a})
}

// A tunnel goes on through the other door when its own is shut in the middle of
// a transfer, and comes back when the stream door, which is cheaper, is open again.
func TestTunnelsMoveBetweenTheDoorsWhileBytesFlow(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.api(apiOptions{})
		stream, gateway := w.forward(a.streamDoor(w).addr), w.forward(a.clients.addr)
		stream.delay.Store(int64(10 * time.Millisecond))
		gateway.delay.Store(int64(10 * time.Millisecond))
		n := w.clientBy(1, w.front(stream.addr()), w.textFront(gateway.addr())).ready()
		c, down := n.chat(), n.download(1, 24<<20)
		var up sync.WaitGroup
		up.Go(func() {
			if err := n.order(order{Do: exchange, Seed: 9, Up: 48 << 20}); err != nil {
				t.Errorf("upload: %v", err)
			}
		})
		step := func(what string, front int) {
			if _, err := c.ping(30 * time.Second); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if err := down.upTo(down.check.n+4<<20, time.Minute); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if got := n.Status().Front; got != front {
				t.Errorf("%s: front %d is in use, want %d", what, got, front)
			}
		}
		step("in the beginning", 0)
		stream.refuse.Store(true)
		stream.kill()
		step("stream door shut", 1)
		if units := a.meter.Use().Messages; units < 100 {
			t.Errorf("got %d messages at the gateway door, want many", units)
		}
		stream.refuse.Store(false)
		<-time.After(6 * time.Minute)
		step("stream door open", 0)
		up.Wait()
		if err := down.rest(time.Minute); err != nil {
			t.Error(err)
		}
		wantSoon(t, 2*time.Minute, "the gateway's carriers end", func() bool { return gateway.open() == 0 })
		if _, err := c.ping(time.Second); err != nil {
			t.Error(err)
		}
	})
}

// API Gateway ends a connection after two hours and one that is idle after ten
// minutes. A client meets neither end.
func TestAGatewayCarrierIsReplacedBeforeItsEnd(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.api(apiOptions{})
		f := w.forward(a.clients.addr)
		n := w.clientBy(1, w.textFront(f.addr())).ready()
		c, idle := n.chat(), n.chat()
		if _, err := c.ping(time.Second); err != nil { // an app that says two things at once may wait for the origin's first ack
			t.Error(err)
		}
		for range 5 {
			took, err := c.ping(time.Second)
			if err != nil || took > 100*time.Millisecond {
				t.Errorf("chat after an hour: got %v after %v", err, took)
			}
			<-time.After(time.Hour)
		}
		if _, err := idle.ping(time.Second); err != nil {
			t.Errorf("a chat that was idle for five hours: %v", err)
		}
		if got := f.dials.Load(); got < 3 || got > 4 {
			t.Errorf("got %d connections in five hours, want 3 or 4: each is used for 100 to 115 minutes", got)
		}
	})
}

// With CloudFront or a phone's network in between, a carrier may fall silent:
// WebSocket pings, which cost nothing, find that out.
func TestASilentGatewayIsNoticed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.api(apiOptions{})
		f := w.forward(a.clients.addr)
		n := w.clientBy(1, w.textFront(f.addr())).ready()
		c := n.chat()
		for range 3 {
			if _, err := c.ping(time.Second); err != nil {
				t.Fatal(err)
			}
			f.silence(true, true)
			took, err := c.ping(time.Minute)
			t.Logf("silence cost %v", took)
			if err != nil || took > 20*time.Second {
				t.Errorf("got %v after %v, want an answer within 20 s", err, took)
			}
		}
	})
}

// The first posts may meet a connection that is not open yet.
func TestTheFirstPostsWaitUntilTheConnectionIsOpen(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.api(apiOptions{gateway: emulator.Options{OpenDelay: 200 * time.Millisecond}})
		n := w.clientBy(1, a.front(w)).ready()
		if took, err := n.chat().ping(5 * time.Second); err != nil || took > 2*time.Second {
			t.Errorf("got %v after %v, want an answer within 2 s", err, took)
		}
	})
}

// An origin that takes another's place knows neither its connections nor its tunnels.
// New ones work at once, although the client's ticket still names the one that is gone.
func TestTheGatewayDoorOutlivesItsOrigin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.api(apiOptions{})
	n := w.clientBy(1, a.front(w)).ready()
	var lost []chat
	for range 3 {
		c := n.chat()
		if _, err := c.ping(patience); err != nil {
			t.Fatal(err)
		}
		before := a.far
		a.far = a.origin(w, apiOptions{})
		a.inside.target.Store(a.addr)
		a.inside.kill()
		before.crash()
		_, reset := c.Write([]byte("still there?"))
		if took, err := n.chat().ping(patience); err != nil || took > 5*time.Second {
			t.Errorf("a new chat took %v, and got %v, want 5 s at most", took, err)
		}
		if reset == nil {
			lost = append(lost, c)
		} else { // a socket tells of a reset once
			wantReset(t, "the old chat", reset)
		}
	}
	wantLost(t, lost...)
}

// An origin that drains keeps its tunnels until they end, as clients come back
// to it by its ticket.
func TestTheGatewayDoorLosesNothingWhenItsOriginIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.api(apiOptions{})
	f := w.forward(a.clients.addr)
	n := w.clientBy(1, w.textFront(f.addr())).ready()
	c, down := n.chat(), n.download(1, 16<<20)
	if _, err := c.ping(patience); err != nil {
		t.Fatal(err)
	}
	if err := down.upTo(2<<20, patience); err != nil {
		t.Fatal(err)
	}
	old := a.far
	a.far = a.origin(w, apiOptions{})
	a.inside.target.Store(a.addr)
	drained := make(chan error, 1)
	go func() { drained <- old.Drain(context.Background()) }()
	d := n.chat()
	for i := range 3 {
		for name, chat := range map[string]chat{"old": c, "new": d} {
			if _, err := chat.ping(patience); err != nil {
				t.Fatalf("the %s chat, after %d cuts: %v", name, i, err)
			}
		}
		if err := down.upTo(down.check.n+4<<20, patience); err != nil {
			t.Fatalf("the download, after %d cuts: %v", i, err)
		}
		f.kill()
	}
	if err := down.rest(patience); err != nil {
		t.Error(err)
	}
	for _, chat := range []chat{c, d} {
		if err := chat.finish(); err != nil {
			t.Error(err)
		}
	}
	wantDrained(t, drained)
	if _, err := n.chat().ping(patience); err != nil {
		t.Error(err)
	}
}

// oneIn says yes once in every n times, at a random one, and counts that.
func oneIn(n int64, count *atomic.Int64) func() bool {
	var asked atomic.Int64
	at := rand.N(n)
	return func() bool {
		if asked.Add(1)%n != at {
			return false
		}
		count.Add(1)
		return true
	}
}

// API Gateway and Lambda are at their worst here: messages overtake one another
// by up to 195 ms with 50 of them on their way, a tenth comes twice, functions
// are killed at work, connections end at random.
func TestEveryByteArrivesOnceAndInOrderThroughTheGatewayDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var kills, cuts, twice atomic.Int64
	dies := oneIn(70, &kills)
	a := w.api(apiOptions{
		gateway: emulator.Options{MaxInFlight: 50, Faults: emulator.Faults{
			Latency:   func() time.Duration { return 5*time.Millisecond + rand.N(195*time.Millisecond) },
			Duplicate: oneIn(10, &twice),
			Cut:       oneIn(170, &cuts),
		}},
		function: emulator.Settings{Kill: func() (time.Duration, bool) { return rand.N(time.Millisecond), dies() }},
	})
	n := w.clientBy(1, a.front(w)).ready()
	total := size(8<<20, 64<<20)
	chats := n.pings(t, patience)
	began := time.Now()
	if err := n.order(order{Do: exchange, Seed: 1, Up: total, Down: total}); err != nil {
		t.Error(err)
	}
	took := time.Since(began)
	t.Logf("%d MB each way in %v; %d functions killed, %d connections cut, %d messages twice; longest wait of chat %v",
		total>>20, took.Round(time.Millisecond), kills.Load(), cuts.Load(), twice.Load(), chats().Round(time.Millisecond))
	if kills.Load() == 0 || cuts.Load() == 0 || twice.Load() < 10 {
		t.Errorf("got %d kills, %d cuts and %d messages twice, want some", kills.Load(), cuts.Load(), twice.Load())
	}
	checkEnds(t, n)
}

// API Gateway may say of a connection that it has ended although the client is
// there and hears nothing of it: nobody would tell it that its carrier is dead.
// And it may be too busy to close it at once.
func TestAConnectionThatIsCalledGoneIsClosed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		statuses := []int{http.StatusGone, http.StatusTooManyRequests, http.StatusBadGateway}
		var next atomic.Int64
		next.Store(int64(len(statuses)))
		fail := func() int {
			if i := int(next.Add(1)) - 1; i < len(statuses) {
				return statuses[i]
			}
			return 0
		}
		a := w.api(apiOptions{gateway: emulator.Options{Faults: emulator.Faults{FailPost: fail}}})
		c := w.clientBy(1, a.front(w)).ready().chat()
		for range 3 {
			if _, err := c.ping(time.Minute); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Minute)
			next.Store(0)
			if took, err := c.ping(time.Minute); err != nil || took > time.Second {
				t.Errorf("got %v after %v, want an answer within a second", err, took)
			}
		}
	})
}
