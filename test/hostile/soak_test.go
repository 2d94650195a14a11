package hostile

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/internal/seal"
	"culvert/test/screen"
)

// honest is what ten users have seen: how long their messages took, new connections among them,
// and what was cut.
type honest struct {
	mu    sync.Mutex // guards the following
	chat  trips
	fresh trips
	cut   []error
}

func (h *honest) note(chat, fresh trips, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.chat, h.fresh = append(h.chat, chat...), append(h.fresh, fresh...)
	if err != nil {
		h.cut = append(h.cut, err)
	}
}

// live has all users chat for as long as said: a message ten times a second by one
// connection, and every other second by a new one.
func live(all []*user, during time.Duration) *honest {
	var h honest
	var group sync.WaitGroup
	end := time.Now().Add(during)
	for _, u := range all {
		group.Go(func() {
			for left := during; left > time.Second; left = time.Until(end) {
				chat, err := u.talk(100*time.Millisecond, left)
				h.note(chat, nil, err)
			}
		})
		group.Go(func() {
			for time.Until(end) > 2*time.Second {
				began := time.Now()
				_, err := u.talk(0, time.Nanosecond)
				h.note(nil, trips{time.Since(began)}, err)
				time.Sleep(2 * time.Second)
			}
		})
	}
	group.Wait()
	return &h
}

// attackers are all that the other tests try, one by one, each at what several machines would bring.
func (w *world) attackers(home *user) []func(stop <-chan struct{}) {
	perSecond = 40
	all := []func(stop <-chan struct{}){
		func(stop <-chan struct{}) { w.keepsOpen(stop, w.door, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", one) },
		func(stop <-chan struct{}) { w.keepsOpen(stop, w.door, "GET / HT", scattered) },
		func(stop <-chan struct{}) { w.keepsOpen(stop, w.front, "\x16\x03\x01", one) },
		func(stop <-chan struct{}) {
			w.keepsOpen(stop, home.chat, opening, func(int) string { return phone(7) })
		},
		func(stop <-chan struct{}) { w.hoarders(stop, 31, 4) },
	}
	for i, flood := range []func(*device, <-chan struct{}){floodGarbage, floodAgreements, floodCopies, floodStrangers, floodJoins} {
		d := w.device(uint32(21 + i))
		all = append(all, func(stop <-chan struct{}) { flood(d, stop) })
	}
	return append(all, func(stop <-chan struct{}) {
		for isOpen(stop) {
			floodTunnels(w.device(20), within(stop, 20*time.Second))
		}
	})
}

func isOpen(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return false
	default:
		return true
	}
}

// within is stop, or sooner.
func within(stop <-chan struct{}, limit time.Duration) <-chan struct{} {
	sooner := make(chan struct{})
	go func() {
		defer close(sooner)
		select {
		case <-stop:
		case <-time.After(limit):
		}
	}()
	return sooner
}

// keepsOpen opens up to fifty connections a second and keeps the newest 1,000.
func (w *world) keepsOpen(stop <-chan struct{}, to, hello string, from func(int) string) {
	var held []io.Closer
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	for i := 0; isOpen(stop); i++ {
		if c, err := dialFrom(from(i), to); err == nil {
			io.WriteString(c, hello)
			held = append(held, c)
		}
		if len(held) > 1000 {
			held[0].Close()
			held = held[1:]
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// hoarders are links that have the origin keep as much as they can, again and again.
func (w *world) hoarders(stop <-chan struct{}, first uint32, links int) {
	for isOpen(stop) {
		var all []*rogue
		for i := range links {
			if r, err := w.device(first + uint32(i)).carrier(nil); err == nil {
				all = append(all, r)
				r.hoards(64, 64<<10)
			}
		}
		<-within(stop, 10*time.Second)
		for _, r := range all {
			r.Close()
		}
	}
}

// asAttackers makes this program all attackers at once, on a world that it names.
const asAttackers = "CULVERT_TEST_AS_ATTACKERS"

// attacked has a process of its own attack w, after all others where processors are
// scarce: attackers have their own. retreat ends it.
func (w *world) attacked(home *user) (retreat func()) {
	w.Helper()
	c := exec.Command("nice", "-n", "19", os.Args[0], "-test.run=^TestAttackers$", "-test.timeout=0")
	out := screen.New()
	c.Stdout, c.Stderr, c.WaitDelay = out, out, time.Second
	c.Env = append(os.Environ(), asAttackers+"="+strings.Join([]string{w.door, w.front, home.chat, w.secret}, " "))
	end, err := c.StdinPipe()
	must(w, err)
	must(w, c.Start())
	return sync.OnceFunc(func() {
		end.Close()
		if err := c.Wait(); err != nil {
			w.Errorf("the attackers: %v\n%s", err, out)
		}
	})
}

// TestAttackers is the process of attacked: it attacks until its standard input ends.
func TestAttackers(t *testing.T) {
	at := strings.Fields(os.Getenv(asAttackers))
	if len(at) != 4 {
		t.Skip("is no test, but what TestSoak starts")
	}
	text, err := os.ReadFile(at[3])
	must(t, err)
	master, err := seal.ParseMaster(string(text))
	must(t, err)
	w, stop := &world{TB: t, master: master, door: at[0], front: at[1]}, make(chan struct{})
	var all sync.WaitGroup
	for _, attack := range w.attackers(&user{chat: at[2]}) {
		all.Go(func() { attack(stop) })
	}
	io.Copy(io.Discard, os.Stdin)
	close(stop)
	all.Wait()
}

// All attackers at once beside ten honest users, for as long as CULVERT_SOAK says.
func TestSoak(t *testing.T) {
	during, err := time.ParseDuration(os.Getenv("CULVERT_SOAK"))
	if err != nil {
		t.Skip("takes half an hour: make hostile")
	}
	must(t, errNoLAN())
	// Few strangers fill what there is for them: all of them have 20,000 descriptors together.
	w := newWorld(t, func(*world) []string { return []string{"CULVERT_MAX_STRANGERS=512"} })
	home := w.lan(1)
	users := []*user{home}
	for number := 2; number <= 10; number++ {
		users = append(users, w.user(number))
	}
	quiet := live(users, min(time.Minute, during/4))
	retreat := w.attacked(home)
	var early, late [3]int
	go func() {
		time.Sleep(during / 3)
		early = [3]int{w.origin.rss(), w.edge.rss(), home.rss()}
	}()
	defer retreat()
	beside := live(users, during)
	late = [3]int{w.origin.rss(), w.edge.rss(), home.rss()}
	retreat()
	t.Logf("quiet:  %v; new connections %v; %d cut", quiet.chat, quiet.fresh, len(quiet.cut))
	t.Logf("beside: %v; new connections %v; %d cut %v", beside.chat, beside.fresh, len(beside.cut), beside.cut)
	t.Logf("MiB of origin, edge and client after a third of it %v, in the end %v", early, late)
	for name, n := range w.metrics() {
		if n > 0 && (len(name) > 20 && name[:20] == "culvert_shares_total" || name == "culvert_strangers_displaced_total") {
			t.Logf("%s %.0f", name, n)
		}
	}
	if n := w.counted("culvert_strangers_displaced_total"); n == 0 || w.counted("culvert_shares_total") == 0 {
		t.Errorf("got %.0f strangers displaced, or no share used up: it was no attack", n)
	}
	if len(beside.cut) > 0 || beside.chat.at(0.99) > 3*max(quiet.chat.at(0.99), 20*time.Millisecond) {
		t.Errorf("got a p99 of %v and %d cut, want less than three times %v and none", beside.chat.at(0.99), len(beside.cut), quiet.chat.at(0.99))
	}
	for i := range late {
		if late[i] > early[i]*3/2+8 {
			t.Errorf("got %v MiB in the end after %v, want it flat", late, early)
		}
	}
}
