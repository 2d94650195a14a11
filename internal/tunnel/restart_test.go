package tunnel

import (
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/session"
	"culvert/internal/wire"
)

// restart is another process in the origin's place: the one before ends with all its
// carriers, or lives on and is not reached any more.
func (n *Net) restart(ends bool) (before *Table) {
	n.mu.Lock()
	before = n.far
	n.origin = session.NewOrigin(session.Config{})
	n.far = NewTable(Events{Open: n.open, Ended: n.ended}, NewWindows(64<<20), false)
	n.mu.Unlock()
	if ends {
		before.Close()
	}
	return before
}

// After a restart, tunnels of which the origin had said something are reset; the others
// begin anew, once, by the same session, which goes on.
func TestARestartResetsWhatTheOriginHadAnswered(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string]bool{"carriers die": true, "carriers live": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doors(t, func(t *testing.T, n *Net) { restarts(t, n, ends) })
		})
	}
}

func restarts(t *testing.T, n *Net, ends bool) {
	var expired atomic.Int64
	n.near.Expired = func(*Session) { expired.Add(1) }
	c, far := n.first()
	app, _, _ := joined(t, n, c)
	n.socket(c).change(func(f *fate) { f.silent = true }) // the origin hears of no more
	fresh, tun := n.dial(c, []byte("early"))
	go fresh.Write([]byte(", later"))
	time.Sleep(time.Second)
	before := n.restart(ends)
	if ends {
		c.Close()
		far.Close()
	}
	synctest.Wait()
	next, _ := n.carrier(fate{}, fate{})
	for _, t := range n.near.allTunnels() {
		t.Attach(next, true)
	}
	if _, err := app.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a tunnel that had begun: got %v, want %v", err, syscall.ECONNRESET)
	}
	service := <-n.service(tun.number())
	wantRead(t, service, "early, later")
	go service.Write([]byte("an answer"))
	wantRead(t, fresh, "an answer")
	if expired.Load() != 1 || tun.Session() != n.session || next.Dead() {
		t.Errorf("told %d times, want once, and the carrier and the session to go on", expired.Load())
	}
	again, service, _ := joined(t, n, next)
	talk(t, again, func() *memStream { return service }, []byte("up"), []byte("up"), []byte("down"), 9)
	before.Close()
	n.near.Close()
}

// An origin that has forgotten the generations of a session, and not the session, says
// Unknown to a Join: tunnels live on, and what went by the Join goes again.
func TestAnOriginThatForgotAGenerationKeepsTunnels(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		one, _ := n.first()
		app, service, tun := joined(t, n, one)
		for round := range 5 {
			n.origin.Sweep(time.Now().Add(session.GenerationKept))
			n.socket(tun.Carrier()).change(func(f *fate) { f.silent = true })
			app.Write([]byte("lost "))
			synctest.Wait()
			tun.Carrier().Close()
			synctest.Wait()
			a, b := socketPair(uint64(round), fate{delay: 20 * time.Millisecond}, fate{delay: 20 * time.Millisecond})
			near, far := n.between(n.session, a, b, a, b)
			tun.Attach(near, true)
			n.serve(near, far)
			for range 5 { // while the ends agree, too
				app.Write([]byte("and more"))
				time.Sleep(11 * time.Millisecond)
			}
			wantRead(t, service, "lost and moreand moreand moreand moreand more")
			service.Write([]byte("answer"))
			wantRead(t, app, "answer")
			if near.Dead() {
				t.Error("got a dead carrier, want it to agree anew")
			}
		}
	})
}

// Bytes are the same while a session is lost again and again in the midst of them: the
// records that an origin drops are noticed.
func TestNothingIsLostWhileTheEndsAgree(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		n.keep = func() (fate, fate) {
			n.origin.Sweep(time.Now().Add(session.GenerationKept))
			f := fate{delay: 7 * time.Millisecond, dieAt: 25, heard: 4, hurtful: true}
			if !n.gateway() {
				f.dieAt, f.heard = 300, 200 // a window of small records goes by a Join that is not known
			}
			return f, f
		}
		up, down := bytesOf(3<<20, 1), bytesOf(3<<20, 2)
		app, _ := n.dial(nil, nil)
		n.replace()
		talk(t, app, func() *memStream { return <-n.service(1) }, up, up, down, 9000)
	})
}

// Tunnels that begin while an origin restarts over and over all come to be, each once at
// the origin that stays.
func TestTunnelsBeginThroughRestarts(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		n.first()
		n.keep = func() (fate, fate) { f := fate{delay: 5 * time.Millisecond}; return f, f }
		n.dialAfter = time.Hour // no tunnel is answered before the end
		for range 10 {
			n.restart(true)
			time.Sleep(17 * time.Millisecond)
		}
		n.dialAfter = 0
		n.restart(true)
		time.Sleep(time.Second)
		synctest.Wait()
		c := n.near.Carriers.All()[0]
		app, tun := n.dial(c, []byte("early"))
		time.Sleep(6 * time.Millisecond)
		talk(t, app, func() *memStream { return <-n.service(tun.number()) }, []byte("up"), []byte("earlyup"), []byte("down"), 9)
	})
}

// An origin that drains refuses sessions and lets those that it has go on, by new
// carriers as well.
func TestADrainedOriginKeepsItsSessions(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		var told atomic.Int64
		n.near.Draining = func(*carrier.Carrier) { told.Add(1) }
		one, far := n.first()
		app, service, tun := joined(t, n, one)
		n.origin.Drain()
		far.Drain()
		time.Sleep(time.Second)
		if told.Load() != 1 || !one.Draining() {
			t.Errorf("the client was told %d times, want once", told.Load())
		}
		one.Close()
		synctest.Wait()
		two, _ := n.carrier(fate{}, fate{})
		tun.Attach(two, true)
		talk(t, app, func() *memStream { return service }, []byte("up"), []byte("up"), []byte("down"), 9)
		n.session = n.newSession()
		refused, _ := n.carrier(fate{}, fate{})
		if time.Sleep(time.Second); !refused.Dead() || two.Dead() {
			t.Errorf("got a new session's carrier dead %v and an old one's %v", refused.Dead(), two.Dead())
		}
	})
}

// A session is agreed on anew every few minutes while bytes flow both ways, and nobody
// notices: its first carriers live.
func TestASessionIsAgreedAnewWhileBytesFlow(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		n.tendAlways()
		wild := fate{delay: 30 * time.Millisecond, shuffle: n.gateway(), twice: n.gateway()}
		one, farOne := n.carrier(wild, wild)
		time.Sleep(time.Second)
		two, _ := n.carrier(wild, wild)
		var agains, answers atomic.Int64
		for _, c := range []*carrier.Carrier{one, two, farOne} {
			n.watch(c, func(f wire.Frame) {
				switch f.Kind {
				case wire.Again:
					agains.Add(1)
				case wire.Answer:
					answers.Add(1)
				}
			})
		}
		app, service, _ := joined(t, n, one)
		chat, chatService, _ := joined(t, n, two)
		const lasts = 20 * time.Minute
		flow := func(from, to *memStream, piece int, every time.Duration) {
			n.serving.Go(func() {
				for began := time.Now(); time.Since(began) < lasts; time.Sleep(every) {
					from.Write(bytesOf(piece, 3))
				}
				from.CloseWrite()
			})
			n.serving.Go(func() {
				got, err := io.Copy(io.Discard, to)
				if want := int64(lasts/every) * int64(piece); err != nil || got < want*9/10 {
					t.Errorf("got %d bytes and %v, want about %d", got, err, want)
				}
			})
		}
		flow(app, service, 5000, 500*time.Millisecond)
		flow(service, app, 9000, 500*time.Millisecond)
		flow(chat, chatService, 100, 20*time.Second)
		flow(chatService, chat, 300, 20*time.Second)
		time.Sleep(lasts + time.Minute)
		want := int64(lasts / session.GenerationLife)
		if got := agains.Load(); got < want-1 || got > want+1 || one.Dead() || two.Dead() {
			t.Errorf("agreed %d times, want %d; dead %v, %v", got, want, one.Dead(), two.Dead())
		}
		if n.carriersMade() != 2 {
			t.Errorf("got %d carriers, want the first two", n.carriersMade())
		}
	})
}
