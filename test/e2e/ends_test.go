package e2e

import (
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/link"
	"culvert/internal/wire"
	"culvert/origin"
)

// readEnd reads until the end and says which it was.
func readEnd(c interface {
	io.Reader
	SetReadDeadline(time.Time) error
}) (int64, error) {
	c.SetReadDeadline(time.Now().Add(patience))
	return io.Copy(io.Discard, struct{ io.Reader }{c})
}

func wantReset(t testing.TB, what string, err error) {
	t.Helper()
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%s: got %v, want a reset", what, err)
	}
}

func TestAppsMayEndFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.client(1, w.origin().addr).ready()
	c := n.chat()
	if _, err := c.ping(time.Second); err != nil {
		t.Fatal(err)
	}
	if err := c.finish(); err != nil {
		t.Error(err)
	}
	checkEnds(t, n)
	if err := <-w.up.ended; err != nil {
		t.Errorf("upstream: got %v, want an end in order", err)
	}
}

func TestServersMayEndFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.client(1, w.origin().addr).ready()
	c := n.app()
	o := order{Do: endFirst, Seed: 1, Up: 1 << 20, Down: 1 << 20}
	c.Write(o.bytes())
	c.SetDeadline(time.Now().Add(patience))
	if err := checkPattern(c, 2, o.Down); err != nil {
		t.Fatal(err)
	}
	if err := sendPattern(c, 1, o.Up); err != nil { // half of the connection is left
		t.Fatal(err)
	}
	must(t, closeWrite(c))
	if err := <-w.up.ended; err != nil {
		t.Errorf("upstream: %v", err)
	}
	checkEnds(t, n)
}

func TestAnEmptyStreamEndsInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.client(1, w.origin().addr).ready()
	c := n.app()
	must(t, closeWrite(c))
	if _, err := readEnd(c); err == nil {
		t.Error("got an end in order, want the upstream's reset") // it got no order
	}
	if err := <-w.up.ended; err != io.EOF {
		t.Errorf("upstream: got %v, want %v", err, io.EOF)
	}
}

func TestAResetOfTheAppReachesTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.client(1, w.origin().addr).ready()
	for _, do := range []byte{echo, exchange, quiet} {
		c := n.app()
		c.Write(order{Do: do, Seed: 1, Up: 1 << 30, Down: 1 << 30}.bytes())
		if do != quiet {
			c.Write([]byte("hello"))
			c.Read(make([]byte, 1))
		}
		wantSoon(t, time.Minute, "a stream at the server", func() bool { return w.up.live() == 1 })
		abort(c)
		if err := <-w.up.ended; err == nil {
			t.Errorf("%c: upstream saw an end in order, want a reset", do)
		}
	}
	wantSoon(t, time.Minute, "no tunnels left", func() bool { return n.Status().Tunnels == 0 })
}

func TestAResetOfTheServerReachesTheApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.origin()
	n := w.client(1, o.addr).ready()
	c := n.app()
	c.Write(order{Do: resetting, Up: 1 << 20}.bytes())
	go sendPattern(c, 1, 2<<20)
	_, err := readEnd(c)
	wantReset(t, "the app", err)
	wantSoon(t, time.Minute, "no tunnels left", func() bool { return n.Status().Tunnels == 0 })
}

func TestAnUpstreamThatCannotBeReachedIsAReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.client(1, w.origin().addr).ready()
	w.up.close()
	c := n.app()
	c.Write(order{Do: echo}.bytes())
	_, err := readEnd(c)
	wantReset(t, "the app", err)
	if e := <-n.ended; e.Reason != wire.Unreachable {
		t.Errorf("got %v, want %v", e.Reason, wire.Unreachable)
	}
}

// A dial that open files are missing for is refused as a full origin refuses, and not as if WhatsApp could not be
// reached; tunnels that there are go on.
func TestAnOriginShortOfOpenFilesIsFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var scarce atomic.Bool
	n := w.client(1, w.origin(func(cfg *origin.Config) { cfg.Scarce = scarce.Load }).addr).ready()
	before := n.app()
	before.Write(order{Do: echo, Up: 2}.bytes())
	before.Write([]byte("a"))
	before.Read(make([]byte, 1))
	scarce.Store(true)
	c := n.app()
	c.Write(order{Do: echo}.bytes())
	_, err := readEnd(c)
	wantReset(t, "the app", err)
	if e := <-n.ended; e.Reason != wire.Busy {
		t.Errorf("got %v, want %v", e.Reason, wire.Busy)
	}
	before.Write([]byte("b"))
	if _, err := before.Read(make([]byte, 1)); err != nil {
		t.Errorf("got %v of a tunnel that there was, want it to go on", err)
	}
}

func TestSilentEndsCostNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.client(1, w.origin().addr).ready()
		never := n.app() // says nothing
		deaf := n.app()  // is answered nothing
		deaf.Write(order{Do: quiet}.bytes())
		<-time.After(time.Hour)
		if got := n.Status().Tunnels; got != 2 {
			t.Errorf("got %d tunnels, want 2", got)
		}
		must(t, closeWrite(deaf))
		if _, err := readEnd(deaf); err != nil {
			t.Errorf("got %v, want an end in order", err)
		}
		never.Close()
		synctest.Wait()
		if got := w.up.live(); got != 0 {
			t.Errorf("got %d streams left at the server, want none", got)
		}
	})
}

// The app may go while there is no carrier: the server hears of it with the next.
func TestAStreamThatEndsWhileCarriersAreDown(t *testing.T) {
	for _, hard := range []bool{false, true} {
		name := "in order"
		if hard {
			name = "by a reset"
		}
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				f := w.forward(w.origin().addr)
				n := w.client(1, f.addr()).ready()
				c, beside := n.chat(), n.chat()
				for _, c := range []chat{c, beside} {
					if _, err := c.ping(time.Second); err != nil {
						t.Fatal(err)
					}
				}
				f.refuse.Store(true)
				f.kill()
				<-time.After(time.Second)
				if hard {
					abort(c.Conn)
				} else {
					must(t, closeWrite(c.Conn))
				}
				<-time.After(time.Second)
				f.refuse.Store(false)
				began := time.Now()
				err := <-w.up.ended
				if took := time.Since(began); (err == nil) == hard || took > 5*time.Second {
					t.Errorf("upstream: got %v after %v, want that end within 5 s", err, took)
				}
				if _, err := beside.ping(10 * time.Second); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A tunnel that no carrier comes for is given up at both ends, by a reset.
func TestWithoutACarrierATunnelIsHeldForAWhile(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		f := w.forward(w.origin().addr)
		n := w.client(1, f.addr()).ready()
		c := n.chat()
		if _, err := c.ping(time.Second); err != nil {
			t.Fatal(err)
		}
		f.refuse.Store(true)
		f.kill()
		began := time.Now()
		c.SetReadDeadline(time.Now().Add(time.Hour))
		_, err := io.Copy(io.Discard, c)
		wantReset(t, "the app", err)
		if err := <-w.up.ended; err == nil {
			t.Error("upstream saw an end in order, want a reset")
		}
		if took := time.Since(began); took < wire.HoldTunnel || took > wire.HoldTunnel+15*time.Second {
			t.Errorf("held for %v, want %v", took, wire.HoldTunnel)
		}
	})
}

// Whoever ends a client ends its connections to WhatsApp: the origin would hold
// them for minutes.
func TestAClientThatEndsEndsItsTunnels(t *testing.T) {
	stream := func(w *world) link.Front { return w.front(w.origin().addr) }
	for name, c := range map[string]struct {
		front func(*world) link.Front
		chats int
	}{
		"stream":                    {stream, 10},
		"stream, which just begins": {stream, 1},
		"gateway":                   {func(w *world) link.Front { return w.api(apiOptions{}).front(w) }, 10},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				n := w.clientBy(1, c.front(w)).ready()
				for range c.chats {
					if _, err := n.chat().ping(time.Second); err != nil {
						t.Fatal(err)
					}
				}
				n.stop()
				<-time.After(time.Second)
				if got := w.up.live(); got != 0 {
					t.Errorf("got %d streams at the server, want none", got)
				}
			})
		})
	}
}
