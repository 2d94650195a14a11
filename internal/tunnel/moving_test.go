package tunnel

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/pace"
	"culvert/internal/session"
	"culvert/internal/wire"
)

func TestAMoveBetweenLivingCarriersLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		slow := fate{delay: 20 * time.Millisecond, room: 4}
		var mu sync.Mutex
		sent := map[*Table]int{}
		watched := func() *carrier.Carrier {
			near, far := n.carrier(slow, slow)
			for c, table := range map[*carrier.Carrier]*Table{near: n.near, far: n.far} {
				n.watch(c, func(f wire.Frame) {
					mu.Lock()
					defer mu.Unlock()
					if f.Kind == wire.Data {
						sent[table] += len(f.Body)
					}
				})
			}
			return near
		}
		n.first()
		one, two := watched(), watched()
		app, service, tun := joined(t, n, one)
		up, down := bytesOf(2<<20, 1), bytesOf(2<<20, 2)
		done := make(chan struct{})
		go func() {
			defer close(done)
			talk(t, app, func() *memStream { return service }, up, up, down, 50<<10)
		}()
		for _, c := range []*carrier.Carrier{two, one, two} {
			time.Sleep(77 * time.Millisecond)
			tun.Attach(c, false)
		}
		<-done
		if sent[n.near] != len(up) || sent[n.far] != len(down) {
			t.Errorf("sent %d up and %d down, want %d and %d: each byte once", sent[n.near], sent[n.far], len(up), len(down))
		}
	})
}

// What was on its way by a carrier that the tunnel has left, and that dies without the
// origin's hearing of it, comes by the other: whether or not the client had anything
// under way there itself.
func TestWhatACarrierThatWasLeftTookAlongComesAgain(t *testing.T) {
	t.Parallel()
	for name, busy := range map[string]bool{"a client that says nothing": false, "a client that goes on": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doors(t, func(t *testing.T, n *Net) {
				one, farOne := n.first()
				two, _ := n.carrier(fate{}, fate{})
				app, service, tun := joined(t, n, one)
				go io.Copy(io.Discard, service)
				n.socket(farOne).change(func(f *fate) { f.silent = true })
				service.Write([]byte("lost"))
				time.Sleep(time.Millisecond)
				tun.Attach(two, false)
				time.Sleep(time.Millisecond)
				if busy {
					go app.Write(bytesOf(8<<20, 1))
					time.Sleep(10 * time.Second)
				}
				service.Write([]byte(", found"))
				one.Close()
				began := time.Now()
				wantRead(t, app, "lost, found")
				if took := time.Since(began); took > time.Second {
					t.Errorf("got all after %v, want it at once", took)
				}
			})
		})
	}
}

// The origin may be stuck in a write to a carrier of which the client knows that it is
// dead. The tunnel goes on by another, also if that is stuck, too, at first.
func TestNobodyWaitsForACarrierThatWasLeft(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		one, farOne := n.first()
		app, service, tun := joined(t, n, one)
		want := bytesOf(200<<10, 1)
		jam := func(near, far *carrier.Carrier) {
			n.socket(near).change(func(f *fate) { f.silent = true }) // nobody hears of its end
			n.socket(far).change(func(f *fate) { f.stuck = true })
		}
		jam(one, farOne)
		go service.Write(want)
		time.Sleep(time.Second)
		one.Close()
		two, farTwo := n.carrier(fate{}, fate{})
		time.Sleep(time.Second)
		n.socket(farTwo).change(func(f *fate) { f.stuck = true })
		tun.Attach(two, true)
		time.Sleep(time.Second)
		jam(two, farTwo)
		two.Close()
		three, _ := n.carrier(fate{}, fate{})
		tun.Attach(three, true)
		began := time.Now()
		got := make([]byte, len(want))
		io.ReadFull(app, got)
		if took := time.Since(began); !bytes.Equal(got, want) || took > time.Second {
			t.Errorf("got them after %v, want all at once", took)
		}
		go app.Write([]byte("and up"))
		wantRead(t, service, "and up")
	})
}

// A peer that may send no more until it hears of more hears of it when the tunnel moves.
func TestAMoveTellsTheWindow(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		one, _ := n.first()
		two, _ := n.carrier(fate{}, fate{})
		app, service, tun := joined(t, n, one)
		n.socket(one).change(func(f *fate) { f.silent = true }) // acks are lost
		go service.Write(bytesOf(1<<20, 1))
		time.Sleep(time.Second)
		go io.Copy(io.Discard, app)
		time.Sleep(time.Second)
		tun.Attach(two, true)
		time.Sleep(2 * time.Second)
		tun.mu.Lock()
		defer tun.mu.Unlock()
		if tun.recv.written != 1<<20 {
			t.Errorf("got %d bytes, want %d", tun.recv.written, 1<<20)
		}
	})
}

// A carrier that dies while a tunnel is attached to it never has the tunnel.
func TestADeadCarrierIsNotTaken(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		one, _ := n.first()
		_, _, tun := joined(t, n, one)
		two, _ := n.carrier(fate{}, fate{})
		two.Close()
		synctest.Wait()
		tun.mu.Lock()
		took := tun.sendBy(two, true)
		tun.mu.Unlock()
		if took != nil || tun.Carrier() != one || two.Load() != 0 {
			t.Errorf("got taken %v, load %d, want the tunnel to stay", took != nil, two.Load())
		}
	})
}

// A carrier that has just been closed takes a tunnel back that has bytes under way there:
// they go again by another, whoever is told first.
func TestATunnelThatReturnsToADeadCarrierLosesNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		one, _ := n.first()
		two, _ := n.carrier(fate{}, fate{})
		app, service, tun := joined(t, n, one)
		n.socket(one).change(func(f *fate) { f.silent = true })
		app.Write([]byte("lost"))
		synctest.Wait()
		tun.Attach(two, false)
		synctest.Wait()
		tun.mu.Lock() // whoever serves it tells nobody yet
		one.Close()
		tun.sendBy(one, true)
		for _, p := range tun.paths {
			p.sends = true
		}
		tun.ready(nil)
		tun.mu.Unlock()
		wantRead(t, service, "lost")
	})
}

// A turn that a path was given before its carrier died takes nothing afterwards: nobody
// would say that it is lost.
func TestATurnOfADeadCarrierTakesNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		one, _ := n.first()
		app, service, tun := joined(t, n, one)
		n.socket(one).change(func(f *fate) { f.silent = true })
		app.Write([]byte("lost"))
		synctest.Wait()
		tun.mu.Lock()
		p := tun.current()
		tun.mu.Unlock()
		one.Close()
		synctest.Wait()
		if b, more := p.Fill(nil, carrier.Turn{Room: 4 << 10, Bulk: true}); len(b) > 0 || more > 0 {
			t.Errorf("got %d bytes and %d more, want none", len(b), more)
		}
		two, _ := n.carrier(fate{}, fate{})
		tun.Attach(two, true)
		wantRead(t, service, "lost")
	})
}

// Attach has a carrier take what is sent alone, also one that did so beside others.
func TestAttachEndsSharing(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		one, farOne := n.first()
		two, farTwo := n.carrier(fate{}, fate{})
		_, _, tun := joined(t, n, one)
		tun.Add(two)
		time.Sleep(time.Second)
		tun.Attach(two, false)
		time.Sleep(time.Second)
		far := n.far.allTunnels()[0]
		for name, end := range map[string]struct {
			t         *Tunnel
			left, now *carrier.Carrier
		}{"near": {tun, one, two}, "far": {far, farOne, farTwo}} {
			end.t.mu.Lock()
			left, now := end.t.pathOf(end.left), end.t.current()
			if left != nil && left.sends || now == nil || now.carrier != end.now {
				t.Errorf("%s: got the first to send by %v, want the second alone", name, left != nil && left.sends)
			}
			end.t.mu.Unlock()
		}
	})
}

// Several carriers take what one tunnel sends, each as fast as it can, and the bytes are
// the same, also if one of them dies with what it took.
func TestSeveralCarriersShareATunnel(t *testing.T) {
	t.Parallel()
	for name, dies := range map[string]bool{"all live": false, "one dies, silently": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doors(t, func(t *testing.T, n *Net) { spreads(t, n, dies) })
		})
	}
}

func spreads(t *testing.T, n *Net, dies bool) {
	var mu sync.Mutex
	took := map[*carrier.Carrier]int{}
	paths := byte(0)
	made := func(delay time.Duration, room int) (near, far *carrier.Carrier) {
		f := fate{delay: delay, room: room}
		if n.door == session.Gateway {
			f.shuffle, f.twice = true, true
		}
		near, far = n.carrier(f, f)
		paths++
		near.Follow(paths, pace.New(0), 0)
		for _, c := range []*carrier.Carrier{near, far} {
			n.watch(c, func(f wire.Frame) {
				mu.Lock()
				defer mu.Unlock()
				if f.Kind == wire.Data {
					took[c] += len(f.Body)
				}
			})
		}
		return near, far
	}
	n.first()
	fast, farFast := made(5*time.Millisecond, 4)
	slow, farSlow := made(80*time.Millisecond, 4)
	odd, farOdd := made(33*time.Millisecond, 2)
	app, service, tun := joined(t, n, fast)
	tun.Add(slow)
	time.Sleep(time.Second) // a Use that another overtakes is ignored
	tun.Add(odd)
	time.Sleep(time.Second)
	up, down := bytesOf(8<<20, 1), bytesOf(8<<20, 2)
	if dies {
		time.AfterFunc(300*time.Millisecond, func() {
			n.socket(slow).change(func(f *fate) { f.silent = true })
			n.socket(farSlow).change(func(f *fate) { f.silent = true })
			time.Sleep(time.Second)
			slow.Close()
		})
	}
	talk(t, app, func() *memStream { return service }, up, up, down, 100<<10)
	time.Sleep(2 * time.Second)
	n.wantTunnels(t, 0, 0)
	for name, c := range map[string]*carrier.Carrier{"fast": fast, "slow": slow, "odd": odd, "fast, down": farFast, "slow, down": farSlow, "odd, down": farOdd} {
		if took[c] < 12<<10 {
			t.Errorf("%s: took %d bytes, want its share", name, took[c])
		}
	}
}

// A tunnel whose newest carrier is in doubt goes on by those that are not, and by another.
func TestACarrierInDoubtIsReplacedBesideThoseThatAreNot(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		one, _ := n.first()
		two, _ := n.carrier(fate{}, fate{})
		three, _ := n.carrier(fate{}, fate{})
		app, service, tun := joined(t, n, one)
		tun.Add(two)
		time.Sleep(time.Second)
		n.socket(two).change(func(f *fate) { f.silent = true })
		n.socket(one).change(func(f *fate) { f.room = 1 })
		go app.Write(bytesOf(200<<10, 1))
		began := time.Now()
		for !two.Doubted() && time.Since(began) < 10*time.Second {
			time.Sleep(50 * time.Millisecond)
		}
		if !two.Doubted() || tun.Carrier() != two {
			t.Fatal("the newest carrier, which takes nothing along, is not in doubt")
		}
		tun.Replace(three)
		tun.mu.Lock()
		for c, want := range map[*carrier.Carrier]bool{one: true, two: false, three: true} {
			if p := tun.pathOf(c); p == nil || p.sends != want {
				t.Errorf("got %+v, want that it sends %v", p, want)
			}
		}
		tun.mu.Unlock()
		got := make([]byte, 200<<10)
		if _, err := io.ReadFull(service, got); err != nil || !bytes.Equal(got, bytesOf(200<<10, 1)) {
			t.Errorf("got %v, want all that was sent", err)
		}
	})
}

// What a carrier in doubt took goes again by another: little of it before the origin has said what it has, as the path
// may freeze whatever is new, or as much as a young TCP takes where the path has passed much.
func TestMuchGoesAgainBlindlyWhereThePathHasPassedMuch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ passed, least, most int }{
		"little has passed": {64 << 10, 1, blindly},
		"much has passed":   {2 * passesMuch, blindly + 1, blindlyMuch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, n *Net) {
				far := fate{delay: 100 * time.Millisecond}
				one, _ := n.first()
				two, _ := n.carrier(far, far)
				app, service, tun := joined(t, n, one)
				go io.Copy(io.Discard, service)
				app.Write(bytesOf(c.passed, 1))
				time.Sleep(time.Second)
				n.socket(one).change(func(f *fate) { f.silent = true })
				go app.Write(bytesOf(100<<10, 1))
				time.Sleep(time.Second)
				tun.Attach(two, true)
				tun.suspect(one)
				time.Sleep(50 * time.Millisecond)
				tun.mu.Lock()
				defer tun.mu.Unlock()
				gone := 0
				for _, g := range tun.send.gone {
					if g.by == tun.pathOf(two) {
						gone += int(g.to - g.from)
					}
				}
				if gone < c.least || gone > c.most {
					t.Errorf("%d bytes went again, want %d to %d", gone, c.least, c.most)
				}
			})
		})
	}
}

// A Use beside others that says that some have died does not name them: an origin suspects those that are silent,
// and no other, so that what it sends next is not lost with them.
func TestAnOriginSuspectsWhoIsSilentWhenItHearsOfADeath(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		slow := fate{delay: 30 * time.Millisecond, room: 2}
		n.first()
		one, farOne := n.carrier(slow, slow)
		two, farTwo := n.carrier(slow, slow)
		three, farThree := n.carrier(slow, slow)
		app, service, tun := joined(t, n, one)
		go io.Copy(io.Discard, app)
		tun.Add(two)
		time.Sleep(time.Second)
		go service.Write(bytesOf(16<<20, 1))
		time.Sleep(100 * time.Millisecond)
		for _, c := range []*carrier.Carrier{two, farTwo} {
			n.socket(c).change(func(f *fate) { f.silent = true })
		}
		time.Sleep(silentFor + 100*time.Millisecond)
		if farTwo.Doubted() {
			t.Fatal("the origin doubts a carrier by itself before its client does")
		}
		tun.Add(three)
		tun.suspect(two)
		time.Sleep(100 * time.Millisecond)
		if !farTwo.Doubted() || farOne.Doubted() || farThree.Doubted() {
			t.Errorf("got suspected %v, %v and %v, want the second alone", farOne.Doubted(), farTwo.Doubted(), farThree.Doubted())
		}
	})
}

// When one of several carriers dies the newest goes on alone, until the origin has heard of it: then the others take
// what is sent again, at both ends.
func TestCarriersAreRegainedWhenOneOfThemHasDied(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		one, farOne := n.first()
		two, _ := n.carrier(fate{}, fate{})
		three, farThree := n.carrier(fate{}, fate{})
		_, _, tun := joined(t, n, one)
		for _, c := range []*carrier.Carrier{two, three} {
			tun.Add(c)
			time.Sleep(time.Second)
		}
		far := n.far.allTunnels()[0]
		var lost atomic.Int32
		n.watch(one, func(f wire.Frame) {
			if f.Kind == wire.Use && f.Code&wire.Lost != 0 {
				lost.Add(1)
			}
		})
		sends := func(tun *Tunnel, c *carrier.Carrier) bool {
			tun.mu.Lock()
			defer tun.mu.Unlock()
			p := tun.pathOf(c)
			return p != nil && p.sends
		}
		two.Close()
		synctest.Wait()
		tun.Regain(one)
		if time.Sleep(regainAfter); sends(tun, one) || !sends(tun, three) || sends(far, farOne) {
			t.Error("got others than the newest to send by before the origin has heard of a death, or not that")
		}
		for range 2 {
			tun.Regain(one)
			tun.Regain(two)
			time.Sleep(10 * time.Second)
		}
		if !sends(tun, one) || !sends(tun, three) || !sends(far, farOne) || !sends(far, farThree) {
			t.Error("got a carrier that does not take what is sent, want all that live")
		}
		if lost.Load() > 0 {
			t.Errorf("got %d times that some have died, want none: all would go again", lost.Load())
		}
	})
}

// A carrier that lives may have been told that what it took is dropped unread, as the session has turned: it takes that
// again, says Use again, and the others go on as before.
func TestWhatALivingCarrierLosesKeepsTheOthers(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		one, _ := n.first()
		two, _ := n.carrier(fate{}, fate{})
		_, _, tun := joined(t, n, one)
		tun.Add(two)
		time.Sleep(time.Second)
		for _, c := range []*carrier.Carrier{one, two} {
			var uses atomic.Int32
			n.watch(c, func(f wire.Frame) {
				if f.Kind == wire.Use {
					uses.Add(1)
				}
			})
			tun.mu.Lock()
			p := tun.pathOf(c)
			tun.mu.Unlock()
			p.Lost()
			if time.Sleep(time.Second); uses.Load() != 1 {
				t.Errorf("got %d Uses of a carrier whose may be lost, want one", uses.Load())
			}
			tun.mu.Lock()
			for _, p := range tun.paths {
				if !p.sends {
					t.Error("got a carrier that takes nothing any more, though none has died")
				}
			}
			tun.mu.Unlock()
		}
	})
}
