package e2e

import (
	"context"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"culvert/origin"
	"culvert/test/emulator"
)

// troubles are what may be wrong for days, and the most that a user whose app
// never gives up may cost then, in dollars a day.
var troubles = map[string]struct {
	begin func(t *testing.T, a *api, way *forwarder, f *faults)
	most  float64
}{
	"none":                   {func(*testing.T, *api, *forwarder, *faults) {}, 0.004},
	"origin down":            {func(_ *testing.T, a *api, _ *forwarder, _ *faults) { a.crash() }, 0.012},
	"void link":              {func(_ *testing.T, _ *api, way *forwarder, f *faults) { f.revoked.Store(true); way.kill() }, 0.012},
	"functions fail":         {func(_ *testing.T, _ *api, _ *forwarder, f *faults) { f.killed.Store(100) }, 0.012},
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
