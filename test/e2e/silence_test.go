package e2e

import (
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/client"
	"culvert/internal/link"
)

// bubble runs a test on a network of memory, where minutes pass at once.
func bubble(t *testing.T, test func(t *testing.T, w *world)) {
	t.Parallel()
	if bubbles == "no" {
		t.Skip("CULVERT_BUBBLES=no")
	}
	certificate() // outside: its once must not wait in here
	synctest.Test(t, func(t *testing.T) { test(t, newWorldOn(t, new(memory))) })
}

// download is an exchange that is held at will: the app reads a part, and the
// rest after resume.
type download struct {
	chat
	check *checker
	size  int64
}

func (n *near) download(seed uint64, size int64) *download {
	c := n.app()
	c.Write(order{Do: exchange, Seed: seed, Down: size}.bytes())
	closeWrite(c)
	return &download{chat{c}, &checker{want: pattern(seed + 1)}, size}
}

// upTo reads until there are so many bytes.
func (d *download) upTo(size int64, within time.Duration) error {
	d.SetReadDeadline(time.Now().Add(within))
	_, err := io.CopyN(d.check, d, size-d.check.n)
	return err
}

// rest reads all and the verdict.
func (d *download) rest(within time.Duration) error {
	if err := d.upTo(d.size, within); err != nil {
		return err
	}
	b := make([]byte, 2)
	if n, err := io.ReadFull(d, b); n != 1 || b[0] != verdict || err != io.ErrUnexpectedEOF {
		return errBytes
	}
	return nil
}

func TestASilentCarrierIsNoticedWithinTenSeconds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		f := w.forward(w.origin().addr)
		f.delay.Store(int64(40 * time.Millisecond))
		n := w.client(1, f.addr()).ready()
		c := n.chat()
		if _, err := c.ping(time.Second); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			f.silence(true, true)
			took, err := c.ping(time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if took > 10*time.Second {
				t.Errorf("chat waited %v, want less than 10 s", took)
			}
		}
	})
}

func TestASilentCarrierIsNoticedOnTheKernelsSockets(t *testing.T) {
	if !long {
		t.Skip("takes half a minute; set CULVERT_LONG")
	}
	t.Parallel()
	w := newWorld(t)
	f := w.forward(w.edge(w.origin().addr).addr)
	n := w.client(1, f.addr()).ready()
	c, d := n.chat(), n.download(1, 64<<20)
	for i := range int64(3) {
		if err := d.upTo((i+1)<<20, patience); err != nil {
			t.Fatal(err)
		}
		f.silence(true, true)
		took, err := c.ping(patience)
		t.Logf("chat waited %v", took)
		if err != nil || took > 10*time.Second {
			t.Errorf("got %v after %v, want an answer within 10 s", err, took)
		}
	}
	if err := d.rest(patience); err != nil {
		t.Error(err)
	}
}

func TestBulkGoesOnWithinTenSecondsOfSilence(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		f := w.forward(w.origin().addr)
		f.delay.Store(int64(40 * time.Millisecond))
		n := w.client(1, f.addr()).ready()
		const step = 2 << 20
		d := n.download(1, 20*step)
		for i := range int64(19) {
			began := time.Now()
			if err := d.upTo((i+1)*step, time.Minute); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 12*time.Second {
				t.Errorf("step %d took %v, want less than 12 s", i, took)
			}
			f.silence(true, true)
		}
		if err := d.rest(time.Minute); err != nil {
			t.Error(err)
		}
	})
}

// A tunnel moves when it proves to be bulk; what was on its way by the carrier
// before is lost with that one, although the tunnel's own lives.
func TestWhatIsLostWithTheCarrierBeforeIsSentAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		f := w.forward(w.origin().addr)
		f.delay.Store(int64(400 * time.Millisecond))
		n := w.client(1, f.addr()).ready()
		d := n.download(1, 4<<20)
		for f.open() == 1 { // until there is a carrier for bulk
			if err := d.upTo(d.check.n+4096, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		var first *pathway
		for _, p := range f.all() {
			if first == nil || p.number < first.number {
				first = p
			}
		}
		first.silent[0].Store(true)
		first.silent[1].Store(true)
		began := time.Now()
		err := d.rest(5 * time.Minute)
		took := time.Since(began)
		t.Logf("rest after %v, %d carriers", took, f.dials.Load())
		if err != nil || took > 30*time.Second {
			t.Errorf("got %v after %v, want the rest within 30 s", err, took)
		}
	})
}

func TestACarrierThatFailsInOneDirectionIsNoticed(t *testing.T) {
	for name, up := range map[string]bool{"up": true, "down": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				f := w.forward(w.origin().addr)
				f.delay.Store(int64(40 * time.Millisecond))
				n := w.client(1, f.addr()).ready()
				c, d := n.chat(), n.download(1, 32<<20)
				if err := d.upTo(4<<20, time.Minute); err != nil {
					t.Fatal(err)
				}
				f.silence(up, !up)
				began := time.Now()
				if err := d.rest(5 * time.Minute); err != nil {
					t.Error(err)
				}
				if _, err := c.ping(time.Minute); err != nil {
					t.Error(err)
				}
				took := time.Since(began)
				t.Logf("done after %v", took)
				if took > 40*time.Second {
					t.Errorf("got the rest after %v, want 40 s at most", took)
				}
			})
		})
	}
}

func TestAnOriginThatIsOutOfReachForHalfAMinuteIsWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		f := w.forward(w.origin().addr)
		f.delay.Store(int64(40 * time.Millisecond))
		n := w.client(1, f.addr()).ready()
		c, d := n.chat(), n.download(1, 8<<20)
		if err := d.upTo(1<<20, time.Minute); err != nil {
			t.Fatal(err)
		}
		f.refuse.Store(true)
		f.kill()
		time.AfterFunc(30*time.Second, func() { f.refuse.Store(false) })
		late := n.chat() // opened while there is no way
		began := time.Now()
		for i, c := range []chat{c, late} {
			if took, err := c.ping(time.Minute); err != nil {
				t.Errorf("chat %d: %v", i, err)
			} else {
				t.Logf("chat %d waited %v", i, took)
			}
		}
		if err := d.rest(time.Minute); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 35*time.Second {
			t.Errorf("all went on after %v, want 35 s at most", took)
		}
	})
}

func TestIdleForHoursIsFine(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		f := w.forward(w.origin().addr)
		f.delay.Store(int64(40 * time.Millisecond))
		n := w.client(1, f.addr()).ready()
		c := n.chat()
		for _, idle := range []time.Duration{time.Minute, 10 * time.Minute, 3 * time.Hour} {
			before := f.moved.Load()
			<-time.After(idle)
			t.Logf("%v idle: %d bytes moved", idle, f.moved.Load()-before)
			if took, err := c.ping(time.Minute); err != nil || took > time.Second {
				t.Errorf("after %v: got %v, %v; want an answer at once", idle, took, err)
			}
		}
		if got := f.dials.Load(); got != 1 {
			t.Errorf("got %d carriers, want 1", got)
		}
	})
}

// While nobody waits the client asks seldom; who comes then need not wait.
func TestTheFirstAppAfterALongOutageDoesNotWait(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		f := w.forward(w.origin().addr)
		n := w.client(1, f.addr()).ready()
		for range 5 {
			f.refuse.Store(true)
			f.kill()
			<-time.After(10 * time.Minute)
			f.refuse.Store(false)
			c := n.chat()
			took, err := c.ping(time.Minute)
			if err != nil || took > 3*time.Second { // it may have dialled right before
				t.Errorf("got %v after %v, want an answer within 3 s", err, took)
			}
			c.Close()
		}
	})
}

// A machine that slept finds its carriers dead, as nobody answered for it, and
// whoever opens it wants the app to work.
func TestChatWorksSoonAfterASleep(t *testing.T) {
	for _, door := range []string{"stream", "gateway"} {
		t.Run(door, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.api(apiOptions{})
				way := w.forward(a.clients.addr)
				front := w.textFront(way.addr())
				if door == "stream" {
					way.target.Store(a.streamDoor(w).addr)
					front = w.front(way.addr())
				}
				way.delay.Store(int64(50 * time.Millisecond))
				var slept atomic.Int64
				wall := func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
				n := w.clientOf(client.Config{Now: wall, Link: &link.Link{Keys: w.master.Client(1), Fronts: []link.Front{front}}}).ready()
				c := n.chat()
				for range 3 {
					if _, err := c.ping(time.Second); err != nil {
						t.Fatal(err)
					}
					<-time.After(30 * time.Second)
					way.silence(true, true)
					slept.Add(int64(2 * time.Minute))
					if took, err := c.ping(time.Minute); err != nil || took > 3*time.Second {
						t.Errorf("got %v after %v, want an answer within 3 s", err, took)
					}
				}
			})
		})
	}
}
