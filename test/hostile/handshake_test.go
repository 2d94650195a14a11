package hostile

import (
	"crypto/rand"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"culvert/internal/wire"
)

// A thief of a token, or a user without manners, sends what costs the origin as much as can be:
// 50,000 tunnels that open, garbage in place of agreements, and upgrades with used tokens. Another
// user's chat does not wait for any of it.
func TestHandshakesAndGarbageDoNotSlowChat(t *testing.T) {
	w := newWorld(t)
	u := w.user(1)
	number := uint32(1)
	for name, attack := range map[string]func(d *device, stop <-chan struct{}){
		"tunnels":       floodTunnels,
		"garbage":       floodGarbage,
		"agreements":    floodAgreements,
		"a used token":  floodCopies,
		"no token":      floodStrangers,
		"joins unknown": floodJoins,
	} {
		t.Run(name, func(t *testing.T) {
			number++
			d := w.device(number)
			before, refused := w.origin.cpu(), w.counted("culvert_tokens_refused_total")
			attempts.Store(0)
			seen := u.chatsWhile("", func(stop <-chan struct{}) { attack(d, stop) })
			t.Logf("apart %v; beside %d attempts %v; origin %.1f s of CPU, %d MiB", seen.apart, attempts.Load(), seen.beside, w.origin.cpu()-before, w.origin.rss())
			wantCalm(t, "another user", seen)
			if n := attempts.Load(); n < leastAttempts {
				t.Errorf("got %d attempts, want %d at least: it was no attack", n, leastAttempts)
			}
			if strings.HasSuffix(name, "token") && w.counted("culvert_tokens_refused_total") < refused+leastAttempts/2 {
				t.Error("got hardly a token refused: it was no attack")
			}
		})
	}
}

// leastAttempts is how many an attack makes at least, in which the machine has much else to do.
const leastAttempts = 30

// attempts is how often until has repeated something.
var attempts atomic.Int64

// perSecond is how many handshakes an attacker begins each second. The origin, the edge, the
// client and the attacker have two processors together here: some 1,500 keep them busy.
var perSecond = 400

// until repeats f until stop, in as many goroutines, whose threads come after all others:
// the attacker has machines of its own. More than one go no faster than perSecond.
func until(stop <-chan struct{}, goroutines int, f func()) {
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			comeLast(15)
			for {
				select {
				case <-stop:
					return
				default:
					f()
					attempts.Add(1)
					if goroutines > 1 {
						time.Sleep(time.Duration(goroutines) * time.Second / time.Duration(perSecond))
					}
				}
			}
		})
	}
	all.Wait()
}

// comeLast has whatever this goroutine does come after what others do on this machine, the more so the nicer
// it is, to 19. The thread ends with the goroutine.
func comeLast(nice int) {
	runtime.LockOSThread() // and never unlocked
	syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), nice)
}

// paced does f so often, no faster than so many times a second, after others, and for 12 s at most.
func paced(n, perSecond int, f func()) {
	comeLast(5)
	began := time.Now()
	for i := 0; i < n && time.Since(began) < 12*time.Second; i++ {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(perSecond))))
		f()
	}
}

// floodTunnels opens tunnels by one carrier, as fast as it takes them.
func floodTunnels(d *device, stop <-chan struct{}) {
	r, err := d.carrier(nil)
	if err != nil {
		return
	}
	defer r.Close()
	next := uint32(1)
	until(stop, 1, func() {
		if next < 50_000 {
			r.opens(next, next+31, "")
			next += 32
		} else {
			time.Sleep(10 * time.Millisecond)
		}
	})
}

// floodGarbage sends by each of many carriers an agreement that is none.
func floodGarbage(d *device, stop <-chan struct{}) {
	until(stop, 8, func() {
		s, err := d.upgrade(d.token())
		if err != nil {
			return
		}
		defer s.Close()
		garbage := make([]byte, 2+16+146)
		rand.Read(garbage)
		garbage[0], garbage[1] = 0, 3
		s.WriteMessage(garbage)
		s.NextMessage()
		s.NextMessage()
	})
}

// floodAgreements agrees by one carrier after another.
func floodAgreements(d *device, stop <-chan struct{}) {
	until(stop, 8, func() {
		fresh := *d
		if r, err := fresh.begin(); err == nil {
			r.Close()
		}
	})
}

// floodCopies brings the same token again and again.
func floodCopies(d *device, stop <-chan struct{}) {
	token := d.token()
	until(stop, 8, func() {
		if s, err := d.upgrade(token); err == nil {
			s.Close()
		}
	})
}

// floodStrangers asks for WebSockets with a token of nobody.
func floodStrangers(d *device, stop <-chan struct{}) {
	until(stop, 8, func() {
		var none wire.Token
		rand.Read(none[:])
		if s, err := d.upgrade(none); err == nil {
			s.Close()
		}
	})
}

// floodJoins joins by generations that nobody knows.
func floodJoins(d *device, stop <-chan struct{}) {
	until(stop, 8, func() {
		s, err := d.upgrade(d.token())
		if err != nil {
			return
		}
		defer s.Close()
		join := make([]byte, 2+28)
		rand.Read(join)
		join[0], join[1] = 0, 2
		s.WriteMessage(join)
		s.NextMessage()
		s.NextMessage()
	})
}
