package edge

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/handover"
	"culvert/internal/wire"
	"culvert/test/leak"
	"culvert/test/nobody"
)

// answers answers every request alike.
func answers(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func messageTo(t *testing.T, origin string) request {
	return event("MESSAGE", up("", ticket(t, addressOf(t, origin), testUser), "frames"))
}

func TestWhatTheOriginDoesNotTakeIsLost(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]error{
		http.StatusGone:               errUnknown,
		http.StatusServiceUnavailable: errRefused,
		http.StatusBadGateway:         errRefused,
		http.StatusOK:                 errRefused, // the site
	} {
		s := answers(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		g, _ := newGate(t, s.URL)
		wantLost(t, g, messageTo(t, s.URL), want)
	}
}

func TestADeadOriginLosesAMessageButNoDisconnect(t *testing.T) {
	t.Parallel()
	dead := "http://" + nobody.Addr(t).String()
	g, log := newGate(t, dead)
	wantLost(t, g, messageTo(t, dead), handover.ErrUnreachable)
	r, err := g.Disconnect(t.Context(), event("DISCONNECT", ""))
	if err != nil || r.StatusCode != http.StatusOK || log.Len() == 0 {
		t.Errorf("got %d, the error %v and the log %q, want 200 and a line", r.StatusCode, err, log)
	}
}

func TestAHelloForADeadOwnerGoesToTheConfiguredOrigin(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	g, _ := newGate(t, o.URL)
	tick := ticket(t, nobody.Addr(t), testUser)
	wantStatus(t, g, event("MESSAGE", up(token(t), tick, "frames")), http.StatusOK)
	wantLost(t, g, event("MESSAGE", up("", tick, "frames")), handover.ErrUnreachable)
	if n, _ := o.got(); n != 1 {
		t.Errorf("got %d messages at the configured origin, want the hello alone", n)
	}
}

// The owner that says nothing may have taken the client in.
func TestAHelloGoesToOneOriginOfThoseThatMayAnswer(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	g, _ := newGate(t, o.URL)
	full := answers(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	wantStatus(t, g, event("MESSAGE", up(token(t), ticket(t, addressOf(t, full.URL), testUser), "frames")), http.StatusOK)
	silent := answers(t, func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	wantLost(t, g, event("MESSAGE", up(token(t), ticket(t, addressOf(t, silent.URL), testUser), "frames")), handover.ErrSilent)
	if n, _ := o.got(); n != 1 {
		t.Errorf("got %d messages at the configured origin, want the hello that the owner refused", n)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var followed atomic.Int32
	target := answers(t, func(http.ResponseWriter, *http.Request) { followed.Add(1) })
	s := answers(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target.URL, http.StatusTemporaryRedirect)
	})
	g, _ := newGate(t, s.URL)
	wantLost(t, g, messageTo(t, s.URL), errRefused)
	if n := followed.Load(); n != 0 {
		t.Errorf("got %d requests where the redirect leads, want none", n)
	}
}

func TestAnEndlessAnswerIsCut(t *testing.T) {
	t.Parallel()
	ended := make(chan int64, 1)
	s := answers(t, func(w http.ResponseWriter, _ *http.Request) {
		n, _ := io.Copy(w, endless{})
		ended <- n
	})
	g, _ := newGate(t, s.URL)
	wantLost(t, g, messageTo(t, s.URL), errRefused)
	select {
	case n := <-ended:
		if n > 64<<20 {
			t.Errorf("got %d bytes read, want the first ones", n)
		}
	case <-time.After(5 * time.Second):
		t.Error("got an answer that is still read, want it cut")
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// The origin closes a kept connection when the next message is on it already.
func TestAMessageOnAConnectionJustClosedIsSentAgain(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var bodies atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			takeOne(c, &bodies)
			readRequest(bufio.NewReader(c)) // and say nothing
			c.Close()
		}
	}()
	origin := "http://" + l.Addr().String()
	g, _ := newGate(t, origin)
	for range 3 {
		wantStatus(t, g, messageTo(t, origin), http.StatusOK)
	}
	if n := bodies.Load(); n != 3 {
		t.Errorf("got %d messages, want 3", n)
	}
}

// takeOne counts a message before it answers, as the test counts after that.
func takeOne(c net.Conn, bodies *atomic.Int32) {
	if readRequest(bufio.NewReader(c)) == nil {
		bodies.Add(1)
		io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	}
}

func readRequest(r *bufio.Reader) error {
	req, err := http.ReadRequest(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err
}

func TestASilentOriginIsWaitedForTenSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		go io.Copy(io.Discard, far)
		dial := func(context.Context, string, string) (net.Conn, error) { return near, nil }
		g := &Gate{
			cfg:    Config{Origin: &url.URL{Scheme: "http", Host: "10.0.1.7:8080"}},
			signer: wire.NewSigner(testKeys(t, "k")), origins: handover.New(&http.Client{Transport: &http.Transport{DialContext: dial}}),
		}
		began := time.Now()
		err := g.hand(t.Context(), g.cfg.Origin.Host, wire.Handed{Event: wire.Message, Conn: testConn, Text: []byte("frames")})
		if took := time.Since(began); err != handover.ErrSilent || took != 10*time.Second {
			t.Errorf("got %v after %v, want %v after 10 s", err, took, handover.ErrSilent)
		}
	})
}

// A client whose origin is gone, or drains and does not know it, is taken in by
// another; it would bring the same ticket for ever.
func TestAHelloOfAnOriginThatIsGoneGoesToTheConfiguredOne(t *testing.T) {
	t.Parallel()
	gone := "http://" + nobody.Addr(t).String()
	draining := answers(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	for _, owner := range []string{gone, draining.URL} {
		o := newOrigin(t)
		g, _ := newGate(t, o.URL)
		wantStatus(t, g, event("MESSAGE", up(token(t), ticket(t, addressOf(t, owner), testUser), "frames")), http.StatusOK)
		if n, h := o.got(); n != 1 || h.Event != wire.Message {
			t.Errorf("got %d events, the last %v, want the hello", n, h.Event)
		}
		wantLost(t, g, event("MESSAGE", up("", ticket(t, addressOf(t, gone), testUser), "frames")), handover.ErrUnreachable)
	}
}

// After Close no goroutine of a Gate is left, though connections were kept to the
// configured origin and to an owner, and one of them did not answer.
func TestNothingIsLeftOfAGateThatIsClosed(t *testing.T) {
	before := leak.Running()
	t.Run("handing on", func(t *testing.T) {
		configured, owner := newOrigin(t), newOrigin(t)
		g, _ := newGate(t, configured.URL)
		wantStatus(t, g, event("MESSAGE", up(token(t), "", "frames")), http.StatusOK)
		wantStatus(t, g, messageTo(t, owner.URL), http.StatusOK)
		silent := answers(t, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
		wantLost(t, g, messageTo(t, silent.URL), handover.ErrSilent)
		if len(leak.Since(before).With("net/http.(*persistConn)")) == 0 {
			t.Error("got no connection that is kept")
		}
		g.Close()
	})
	before.Check(t)
}
