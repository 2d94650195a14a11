package hostile

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/internal/wire"
)

// keeper is an edge that keeps all that passes up, and may say a false date.
type keeper struct {
	at    string
	door  string
	ahead time.Duration // by which its date is false; 0: it says what the origin says
	holds bool          // nothing that it keeps goes on to the origin

	mu   sync.Mutex // guards the following
	kept [][]byte   // all that came up by each connection
}

// newKeeper makes one, with the TLS of w's edge if secure.
func newKeeper(w *world, secure bool, ahead time.Duration) *keeper {
	w.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(w, err)
	w.Cleanup(func() { ln.Close() })
	k := &keeper{at: ln.Addr().String(), door: w.door, ahead: ahead}
	if secure {
		pair, err := tls.LoadX509KeyPair(w.cert, filepath.Join(w.dir, "key.pem"))
		must(w, err)
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}})
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go k.pass(c)
		}
	}()
	return k
}

func (k *keeper) pass(near net.Conn) {
	k.mu.Lock()
	n := len(k.kept)
	k.kept = append(k.kept, nil)
	k.mu.Unlock()
	if k.holds {
		io.Copy(keeping{k, n}, near)
		return
	}
	far, err := net.Dial("tcp", k.door)
	if err != nil {
		near.Close()
		return
	}
	go func() {
		defer near.Close()
		in := bufio.NewReader(far)
		if k.ahead != 0 {
			first, _ := in.ReadString('\n')
			fmt.Fprintf(near, "%sDate: %s\r\n", first, time.Now().Add(k.ahead).UTC().Format(http.TimeFormat))
		}
		io.Copy(near, in)
	}()
	defer far.Close()
	io.Copy(far, io.TeeReader(near, keeping{k, n}))
}

// keeping notes what passes by one connection.
type keeping struct {
	*keeper
	n int
}

func (k keeping) Write(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept[k.n] = append(k.kept[k.n], b...)
	return len(b), nil
}

func (k *keeper) all() [][]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.kept)
}

// tokens are those that it has seen.
func (k *keeper) tokens() (all []wire.Token) {
	for _, kept := range k.all() {
		_, after, _ := bytes.Cut(kept, []byte(wire.TokenCookie+"="))
		if token, err := wire.ParseToken(string(after[:min(len(after), wire.TokenLen)])); err == nil {
			all = append(all, token)
		}
	}
	return all
}

// replays sends what was kept once more, straight to the origin, and reports whether the origin
// took it for anything but a stranger's.
func replays(t testing.TB, door string, kept []byte) bool {
	t.Helper()
	c, err := net.Dial("tcp", door)
	must(t, err)
	defer c.Close()
	c.Write(kept)
	c.SetReadDeadline(time.Now().Add(time.Second))
	var head [12]byte
	io.ReadFull(c, head[:])
	return bytes.HasSuffix(head[:], []byte("101"))
}

// An edge keeps all that a user sends, and sends it again: at once, and whatever of it by
// connections of its own. It opens no tunnel and has nothing dialled.
func TestWhatAnEdgeHasKeptOpensNothing(t *testing.T) {
	f := newFar(t, false)
	w := newWorldWith(t, f.at)
	k := newKeeper(w, false, 0)
	d := w.device(1)
	d.door = k.at
	r, err := d.carrier(nil)
	must(t, err)
	must(t, r.opens(1, 5, opening))
	waitFor(t, "five dials", func() bool { return f.dialed.Load() == 5 })
	for range 20 {
		for _, kept := range k.all() {
			if replays(t, w.door, kept) {
				t.Error("the origin took what an edge had kept for a user's")
			}
		}
	}
	if n := f.dialed.Load(); n != 5 {
		t.Errorf("got %d dials, want the five that the user asked for", n)
	}
	must(t, r.write(wire.Frame{Kind: wire.Ping})) // and the user goes on
}

// An edge says that it is next year, with its refusals and with its 101. The tokens that it gets
// then are of tomorrow at most, and the user goes on by another front.
func TestAFalseDateIsNotBelievedForLong(t *testing.T) {
	w := newWorld(t)
	k := newKeeper(w, true, 365*24*time.Hour)
	u := w.userBy(1, []string{k.at, w.front})
	for range 4 {
		admitted, _ := u.opens(5)
		if admitted != 5 {
			t.Errorf("got %d of 5 tunnels, want all", admitted)
		}
		w.cutCarriers()
	}
	tokens := k.tokens()
	for _, token := range tokens {
		if ahead := time.Until(token.Expires()) - wire.TokenLife; ahead > 24*time.Hour+time.Minute {
			t.Errorf("got a token of %v from now, want a day at most", ahead)
		}
	}
	t.Logf("%d connections and %d tokens by the false edge", len(k.all()), len(tokens))
	if len(tokens) == 0 {
		t.Error("got no token by the false edge, want it tried")
	}
}

// cutCarriers has all clients come again, by another process of the origin.
func (w *world) cutCarriers() {
	w.Helper()
	w.origin.end()
	w.startOrigin()
}

// A client whose clock an edge has moved makes tokens of another time. They are good for
// nobody: neither now nor, as the origin takes none of a year from now, for an edge that
// keeps them.
func TestATokenOfAnotherYearIsNone(t *testing.T) {
	w := newWorld(t)
	d := w.device(1)
	for _, by := range []time.Duration{-365 * 24 * time.Hour, 365 * 24 * time.Hour, -wire.TokenLife - time.Minute, wire.TokenLife + time.Minute} {
		token := wire.NewToken(d.keys.User, d.keys.Token, d.pair.ProofKey(), time.Now().Add(by))
		if s, err := d.upgrade(token); err == nil {
			s.Close()
			t.Errorf("got a carrier by a token of %v from now", by)
		}
	}
}

// Six links come with handshakes of two minutes from now, as many as they can for a quarter of a minute, every fourth of which
// begins a session. Nobody else waits for any of it, and what the origin remembers stays as it is.
func TestHandshakesOfTheFutureFillNothing(t *testing.T) {
	w := newWorld(t)
	u, stop, all := w.user(1), make(chan struct{}), sync.WaitGroup{}
	var upgrades, sessions atomic.Int64
	for link := range uint32(6) {
		d := w.device(10 + link)
		d.ahead = 118 * time.Second
		all.Go(func() {
			until(stop, 1, func() {
				if s, err := d.upgrade(d.token()); err == nil {
					s.Close()
				}
				if upgrades.Add(1)%4 == 0 {
					if r, err := d.begin(); err == nil {
						sessions.Add(1)
						r.Close()
					}
				}
			})
		})
	}
	var rss []int
	for range 5 {
		time.Sleep(3 * time.Second)
		rss = append(rss, w.origin.rss())
		u.wantPrompt(t, "another user", 50, 2*time.Second)
	}
	close(stop)
	all.Wait()
	t.Logf("%d handshakes of six links, and %d sessions; MiB of the origin every three seconds: %v", upgrades.Load(), sessions.Load(), rss)
	if upgrades.Load() < 500 || sessions.Load() == 0 {
		t.Error("got hardly any handshake: it was no attack")
	}
	if first, last := rss[1], rss[len(rss)-1]; last > first*5/4+4 {
		t.Errorf("got %d MiB in the end after %d, want it flat", last, first)
	}
}
