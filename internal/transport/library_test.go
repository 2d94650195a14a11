package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"culvert/internal/netpoll"
	"culvert/internal/tasks"
)

// rested is an origin's plain door, whose sockets wait in a poller. They echo message after message until they fail, and
// tell each time that they wait for the next.
type rested struct {
	url   string
	waits chan *binarySocket
	seen  map[*binarySocket]bool
}

func newRested(t *testing.T) *rested {
	t.Helper()
	d := &rested{waits: make(chan *binarySocket, 1000), seen: map[*binarySocket]bool{}}
	group := tasks.NewGroup()
	poller := &netpoll.Poller{Go: group.Go}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s, err := Accept(w, r, nil); err == nil {
			s.Start(Owner{Tasks: group, Poller: poller})
			d.park(s.(*binarySocket))
		}
	}))
	srv.Listener = CorkListener{srv.Listener}
	srv.Start()
	t.Cleanup(func() { srv.Close(); poller.Close(); group.Wait() })
	d.url = srv.URL
	return d
}

// park has a socket wait, which has nothing to read yet.
func (d *rested) park(s *binarySocket) {
	if s.Park(func() { d.serve(s) }) {
		d.waits <- s
	} else {
		d.serve(s)
	}
}

// serve echoes what there is to read.
func (d *rested) serve(s *binarySocket) {
	r, err := s.NextMessage()
	if err == nil {
		var b []byte
		if b, err = io.ReadAll(r); err == nil {
			err = s.WriteMessage(b)
		}
	}
	if err != nil {
		s.Close()
		return
	}
	d.park(s)
}

// dial returns a client's end and, once it waits, the origin's.
func (d *rested) dial(t *testing.T) (near *websocket.Conn, far *binarySocket) {
	t.Helper()
	near, _, err := websocket.Dial(t.Context(), d.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.CloseNow() })
	for far = range d.waits {
		if !d.seen[far] {
			break
		}
	}
	d.seen[far] = true
	return near, far
}

func (s *binarySocket) hasLibrary() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.library != nil
}

func wantEcho(t *testing.T, near *websocket.Conn, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := near.Write(ctx, websocket.MessageBinary, []byte(want)); err != nil {
		t.Fatal(err)
	}
	if _, got, err := near.Read(ctx); err != nil || string(got) != want {
		t.Errorf("got %d bytes and %v, want the %d that were sent", len(got), err, len(want))
	}
}

// A socket that waits has no library, whether messages came by it or went by it last, and what comes by others
// meanwhile, in pieces and between pings, does not reach it.
func TestASocketThatRestsHoldsNoLibrary(t *testing.T) {
	t.Parallel()
	d := newRested(t)
	var all sync.WaitGroup
	for i := range 8 {
		near, far := d.dial(t)
		if far.hasLibrary() {
			t.Fatal("a socket that waits holds a library")
		}
		all.Go(func() {
			for n := range 20 {
				wantEcho(t, near, string(bytesOf(1+n*500, byte(i))))
			}
		})
	}
	all.Wait()
	near, far := d.dial(t)
	w, err := near.Writer(t.Context(), websocket.MessageBinary)
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []string{"in ", "three ", "pieces"} {
		w.Write([]byte(piece))
	}
	w.Close()
	if _, got, err := near.Read(t.Context()); err != nil || string(got) != "in three pieces" {
		t.Errorf("got %q and %v, want the pieces", got, err)
	}
	for <-d.waits != far {
	}
	if err := far.WriteMessage([]byte("unasked")); err != nil {
		t.Fatal(err)
	}
	if far.hasLibrary() {
		t.Error("a socket that has written and waits holds a library")
	}
	if _, got, err := near.Read(t.Context()); err != nil || string(got) != "unasked" {
		t.Errorf("got %q and %v, want what the origin said", got, err)
	}
}

// A socket that rests answers the peer's ping, and goes on.
func TestASocketThatRestsAnswersPings(t *testing.T) {
	t.Parallel()
	d := newRested(t)
	near, _ := d.dial(t)
	reading := near.CloseRead(t.Context())
	for range 3 {
		if err := near.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if reading.Err() != nil {
		t.Error("the socket has ended, want it going on")
	}
}

// What has failed is not lent to another socket: the peer of one has broken the protocol, and one was closed while it
// rested.
func TestABrokenLibraryIsNotLent(t *testing.T) {
	t.Parallel()
	d := newRested(t)
	c, err := net.Dial("tcp", d.url[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	broken := <-d.waits
	io.WriteString(c, "\xf2\x81aaaa!") // all bits that are reserved
	io.ReadAll(c)                      // until it is cut
	if !broken.hasLibrary() {
		t.Error("a library has left a socket that failed")
	}
	_, far := d.dial(t)
	far.Close()
	if _, err := far.NextMessage(); err == nil {
		t.Error("got a message of a closed socket, want an error")
	}
	if err := far.WriteMessage([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want that it is closed", err)
	}
	for range 2 * cap(spare) {
		l, err := borrowLibrary(nil, newLibrary)
		if err != nil {
			t.Fatal(err)
		}
		if l == broken.library {
			t.Fatal("got the library of a socket that has failed")
		}
	}
}
