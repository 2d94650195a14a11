package e2e

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/internal/wire"
)

// fourAMinute is a path that freezes each connection after 15 kB, and from its beginning all but four
// of a minute.
func (w *world) fourAMinute(target string) *limiter {
	var mu sync.Mutex
	var passed []time.Time
	return w.limit(target, false, func(int64) limits {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		for len(passed) > 0 && now.Sub(passed[0]) > time.Minute {
			passed = passed[1:]
		}
		if len(passed) >= 4 {
			return limits{freezes: true}
		}
		passed = append(passed, now)
		return limits{bytes: [2]int64{unlimited, 15_000}, freezes: true}
	})
}

// Once it is learned how many connections may begin within a minute, a download leaves chat as many as it
// needs, and goes on by the others.
func TestADownloadLeavesChatTheConnectionsOfAMinute(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		path := w.fourAMinute(w.origin().addr)
		n := w.client(1, path.addr()).ready()
		c, m := n.chat(), n.Dial(wire.Service{Kind: wire.Media, Host: "mmg.whatsapp.net"})
		defer m.Close()
		var media atomic.Int64
		go func() {
			m.Write(order{Do: exchange, Seed: 1, Down: 10_000_000}.bytes())
			for b := make([]byte, 1024); ; {
				got, err := m.Read(b)
				if media.Add(int64(got)); err != nil {
					return
				}
			}
		}()
		talk := func(long time.Duration) (longest time.Duration) {
			for began := time.Now(); time.Since(began) < long; {
				took, err := c.ping(5 * time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				longest = max(longest, took)
				<-time.After(time.Second)
			}
			return longest
		}
		first := talk(2 * time.Minute)
		before := media.Load()
		longest := talk(5 * time.Minute)
		t.Logf("%d connections, longest wait %v, before it was learned %v, %d bytes of the download", path.dials.Load(), longest, first, media.Load()-before)
		if longest > 4*time.Second || media.Load() == before {
			t.Errorf("chat waited for %v, and media got %d bytes, want 4 s at most, and some", longest, media.Load()-before)
		}
	})
}
