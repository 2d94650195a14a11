package e2e

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/internal/cost"
	"culvert/origin"
	"culvert/test/emulator"
)

// used is what f uses of AWS.
func (a *api) used(f func()) cost.GatewayUse {
	before := a.meter.Use()
	f()
	after := a.meter.Use()
	return cost.GatewayUse{
		Messages: after.Messages - before.Messages, Invocations: after.Invocations - before.Invocations,
		ConnectionMinutes: after.ConnectionMinutes - before.ConnectionMinutes,
		GBSeconds:         after.GBSeconds - before.GBSeconds, BytesOut: after.BytesOut - before.BytesOut,
	}
}

func dollars(u cost.GatewayUse) float64 {
	return cost.Total(cost.USEast1().Bill(u.Use(), cost.NothingFree))
}

// The goal for one megabyte is 46 units of 32 KB, acks, opening and closing
// included. Base64 without batching would need 64.
func TestAMegabyteCostsFewMessages(t *testing.T) {
	for name, o := range map[string]order{
		"down": {Do: exchange, Seed: 1, Down: 1 << 20},
		"up":   {Do: exchange, Seed: 1, Up: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.api(apiOptions{})
				f := w.forward(a.clients.addr)
				f.delay.Store(int64(30 * time.Millisecond))
				n := w.clientBy(1, w.textFront(f.addr())).ready()
				<-time.After(time.Second)
				use := a.used(func() {
					if err := n.order(o); err != nil {
						t.Error(err)
					}
					<-time.After(2 * time.Minute)
				})
				t.Logf("%d units, %d invocations, %.3f $/GB", use.Messages, use.Invocations, 1024*dollars(use))
				if use.Messages > 46 {
					t.Errorf("got %d units, want 46 at most", use.Messages)
				}
			})
		})
	}
}

// The goal for a request and its answer, every few seconds, is 2.2 messages and
// 1.1 invocations.
func TestAChatExchangeCostsTwoMessages(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.api(apiOptions{})
		n := w.clientBy(1, a.front(w)).ready()
		c := n.chat()
		if _, err := c.ping(time.Second); err != nil {
			t.Fatal(err)
		}
		const count = 100
		use := a.used(func() {
			for range count {
				if _, err := c.ping(time.Second); err != nil {
					t.Fatal(err)
				}
				<-time.After(7 * time.Second)
			}
		})
		messages, invocations := float64(use.Messages)/count, float64(use.Invocations)/count
		t.Logf("%.2f messages and %.2f invocations an exchange", messages, invocations)
		if messages > 2.2 || invocations > 1.1 {
			t.Errorf("got %.2f messages and %.2f invocations, want 2.2 and 1.1 at most", messages, invocations)
		}
	})
}

func TestAnIdleChatCostsTwoCentsAMonth(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.api(apiOptions{})
		n := w.clientBy(1, a.front(w)).ready()
		if _, err := n.chat().ping(time.Second); err != nil {
			t.Fatal(err)
		}
		use := a.used(func() { <-time.After(24 * time.Hour) })
		month := 30 * dollars(use)
		t.Logf("%d messages, %d invocations, %d connection minutes a day: %.4f $ a month", use.Messages, use.Invocations, use.ConnectionMinutes, month)
		if month > 0.02 || use.ConnectionMinutes < 24*60 {
			t.Errorf("got %.4f $ a month, want 0.02 at most", month)
		}
	})
}

// slow is a network whose way to one address takes few bytes a second.
type slow struct {
	network
	to    string
	rate  int
	dials atomic.Int64
}

func (s *slow) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := s.network.dial(ctx, network, address)
	if err != nil || address != s.to {
		return c, err
	}
	s.dials.Add(1)
	return &slowConn{Conn: c, rate: s.rate, closed: make(chan struct{})}, nil
}

type slowConn struct {
	net.Conn
	rate   int
	closed chan struct{}
	close  sync.Once

	mu   sync.Mutex
	busy time.Time // until when what was written takes the way up
}

const packet = 1400

// ping is more than a WebSocket ping in TLS. One takes no time of its own: who writes meanwhile waits for
// a mutex, and while anybody does a bubble's clock stands still.
const ping = 100

func (c *slowConn) takes(n int) time.Duration {
	return time.Duration(n) * time.Second / time.Duration(c.rate)
}

// pass waits, but no longer than the connection is open: who closes it may want a mutex of who writes.
func (c *slowConn) pass(takes time.Duration) {
	select {
	case <-time.After(takes):
	case <-c.closed:
	}
}

func (c *slowConn) Close() error {
	c.close.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func (c *slowConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b[:min(len(b), packet)])
	c.pass(c.takes(n))
	return n, err
}

func (c *slowConn) Write(b []byte) (n int, err error) {
	if len(b) < ping {
		c.queue(len(b))
		return c.Conn.Write(b)
	}
	for n < len(b) && err == nil {
		k := min(len(b)-n, packet)
		c.pass(time.Until(c.queue(k)))
		k, err = c.Conn.Write(b[n : n+k])
		n += k
	}
	return n, err
}

// queue is when n bytes more have gone up, behind those that have not yet.
func (c *slowConn) queue(n int) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); c.busy.Before(now) {
		c.busy = now
	}
	c.busy = c.busy.Add(c.takes(n))
	return c.busy
}

// A TLS record takes eight seconds.
func TestASlowLinkCostsFewCarriersAtTheStreamDoor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		t.Cleanup(func() { time.Sleep(time.Second) }) // for the last packet
		o := w.origin()
		link := &slow{network: w.net, to: o.addr, rate: 2 << 10}
		w.net = link
		stream := w.client(1, o.addr).ready().app()
		stream.SetDeadline(time.Now().Add(time.Hour))
		began := time.Now()
		if err := (order{Do: exchange, Seed: 1, Down: 1 << 20}).run(stream); err != nil {
			t.Error(err)
		}
		took := time.Since(began)
		t.Logf("took %v, %d carriers", took.Round(time.Second), link.dials.Load())
		if got := link.dials.Load(); got > 3 || took > 10*time.Minute {
			t.Errorf("got %d carriers and %v, want one of chat and two of bulk, and 10 minutes at most", got, took)
		}
	})
}

// A phone may be at the edge of a cell, or its network may throttle us: a full
// message takes half a minute then, and what asks for life waits behind it. Those that are shorter cost more.
func TestASlowLinkCostsNoCarrierAtTheGatewayDoor(t *testing.T) {
	for name, o := range map[string]order{
		"down": {Do: exchange, Seed: 1, Down: 1 << 20},
		"up":   {Do: exchange, Seed: 1, Up: 1 << 20},
		"both": {Do: exchange, Seed: 1, Up: 1 << 20, Down: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				t.Cleanup(func() { time.Sleep(time.Second) }) // for the last packet
				a := w.api(apiOptions{gateway: emulator.Options{ClientBuffer: 256 << 10, WriteTimeout: 5 * time.Minute}})
				link := &slow{network: w.net, to: a.clients.addr, rate: 4 << 10}
				w.net = link
				n := w.clientBy(1, a.front(w)).ready()
				stream := n.app()
				stream.SetDeadline(time.Now().Add(time.Hour))
				began := time.Now()
				use := a.used(func() {
					if err := o.run(stream); err != nil {
						t.Error(err)
					}
				})
				took, most := time.Since(began), uint64(400)
				if o.Up > 0 && o.Down > 0 {
					most *= 2
				}
				t.Logf("took %v, %d carriers, %d units", took.Round(time.Second), link.dials.Load(), use.Messages)
				if got := link.dials.Load(); got > 3 || took > 7*time.Minute || use.Messages > most {
					t.Errorf("got %d carriers, %v and %d units, want one of chat and two of bulk, 7 minutes, and %d at most", got, took, use.Messages, most)
				}
			})
		})
	}
}

// troubles are what may be wrong for days, and the most that a user whose app
// never gives up may cost then, in dollars a day.
var troubles = map[string]struct {
	begin func(t *testing.T, a *api, way *forwarder, f *faults)
	most  float64
}{
	"none":                   {func(*testing.T, *api, *forwarder, *faults) {}, 0.004},
	"origin down":            {func(_ *testing.T, a *api, _ *forwarder, _ *faults) { a.crash() }, 0.012},
	"void link":              {func(_ *testing.T, _ *api, way *forwarder, f *faults) { f.revoked.Store(true); way.kill() }, 0.012},
	"functions fail":         {func(_ *testing.T, _ *api, _ *forwarder, f *faults) { f.killed.Store(100) }, 0.015},
	"half of functions fail": {func(_ *testing.T, _ *api, _ *forwarder, f *faults) { f.killed.Store(50) }, 0.06},
	"posts throttled":        {func(_ *testing.T, _ *api, _ *forwarder, f *faults) { f.status.Store(429) }, 0.006},
	"posts fail":             {func(_ *testing.T, _ *api, _ *forwarder, f *faults) { f.status.Store(500) }, 0.006},
	"posts gone":             {func(_ *testing.T, _ *api, _ *forwarder, f *faults) { f.status.Store(410) }, 0.006},
	"posts denied":           {func(_ *testing.T, _ *api, _ *forwarder, f *faults) { f.status.Store(403) }, 0.006},
	"cut every minute":       {func(t *testing.T, _ *api, way *forwarder, _ *faults) { way.killEvery(t, time.Minute) }, 0.015},
	"cut every 5 s":          {func(t *testing.T, _ *api, way *forwarder, _ *faults) { way.killEvery(t, 5*time.Second) }, 0.1},
	"silence":                {func(_ *testing.T, _ *api, way *forwarder, _ *faults) { way.deaf.Store(true); way.silence(true, true) }, 0.0001},
}

// faults are those of one api, which come while it runs.
type faults struct {
	killed  atomic.Int64 // per cent of invocations
	status  atomic.Int64 // of posts; 0: they succeed
	revoked atomic.Bool
}

func (f *faults) options() apiOptions {
	return apiOptions{
		gateway:  emulator.Options{Faults: emulator.Faults{FailPost: func() int { return int(f.status.Load()) }}},
		function: emulator.Settings{Kill: func() (time.Duration, bool) { return 0, rand.Int64N(100) < f.killed.Load() }},
		origin:   func(c *origin.Config) { c.Revoked = func(uint32) bool { return f.revoked.Load() } },
	}
}

func (f *forwarder) killEvery(t *testing.T, d time.Duration) {
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go func() {
		for sleep(stop, d) {
			f.kill()
		}
	}()
}

func sleep(stop <-chan struct{}, d time.Duration) bool {
	select {
	case <-stop:
		return false
	case <-time.After(d):
		return true
	}
}

// insist keeps a chat as an app does that never gives up.
func (n *near) insist(ctx context.Context) {
	for {
		c, err := n.w.net.dial(ctx, "tcp", n.addr)
		if err != nil {
			return
		}
		stop := context.AfterFunc(ctx, func() { c.Close() })
		askEachMinute(ctx, c)
		stop()
		c.Close()
		if !sleep(ctx.Done(), 5*time.Second) {
			return
		}
	}
}

func askEachMinute(ctx context.Context, c net.Conn) {
	c.Write(order{Do: echo}.bytes())
	for {
		if _, err := (chat{c}).ping(time.Minute); err != nil || !sleep(ctx.Done(), time.Minute) {
			return
		}
	}
}

// Whoever runs the relay pays for each attempt of each client.
func TestTroubleThatLastsCostsLittle(t *testing.T) {
	for name, trouble := range troubles {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				f := new(faults)
				a := w.api(f.options())
				way := w.forward(a.clients.addr)
				way.delay.Store(int64(30 * time.Millisecond))
				n := w.clientBy(1, w.textFront(way.addr())).ready()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go n.insist(ctx)
				<-time.After(time.Minute)
				trouble.begin(t, a, way, f)
				<-time.After(10 * time.Minute)
				before := way.dials.Load()
				use := a.used(func() { <-time.After(20 * time.Minute) })
				const days = 24 * 3 // of a third of an hour
				t.Logf("a day of %s: %d dials, %d messages, %d invocations, %.4f $", name,
					days*(way.dials.Load()-before), days*use.Messages, days*use.Invocations, days*dollars(use))
				if got := days * dollars(use); got > trouble.most {
					t.Errorf("got %.4f $ a day, want %.4f at most", got, trouble.most)
				}
			})
		})
	}
}
