package client

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"culvert/client/front"
	"culvert/internal/link"
	"culvert/internal/transport"
	"culvert/test/nobody"
)

// probeFront probes a TLS server that answers as answer does, by a link with
// its pin.
func probeFront(t *testing.T, answer http.HandlerFunc, now func() time.Time) Probed {
	t.Helper()
	server := httptest.NewTLSServer(answer)
	t.Cleanup(server.Close)
	f := link.Front{Host: server.Listener.Addr().String(), Path: "/", Pins: []link.Pin{link.PinOf(server.Certificate())}}
	return probeOf(t, f, &front.Dialer{Now: now}, now)
}

func probeOf(t *testing.T, f link.Front, d *front.Dialer, now func() time.Time) Probed {
	t.Helper()
	c, err := New(Config{Link: linkTo(f), Dialer: d, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return c.Probe(t.Context(), 0)
}

func letIn(w http.ResponseWriter, r *http.Request) {
	if s, err := transport.Accept(w, r, nil); err == nil {
		s.Close()
	}
}

func hopNames(p Probed) string {
	var all []string
	for _, h := range p.Hops {
		all = append(all, string(h.Name))
	}
	return strings.Join(all, " ")
}

func TestProbeTakesEveryHop(t *testing.T) {
	t.Parallel()
	p := probeFront(t, letIn, nil)
	if got := hopNames(p); !p.Passed() || got != "network tls gate" {
		t.Fatalf("got %q, %+v, want all hops passed", got, p)
	}
	if p.Version == 0 || p.NotAfter.IsZero() || !p.Pinned || p.Ahead != 0 {
		t.Errorf("got %+v, want what was seen of TLS", p)
	}
}

// What a caller puts between TCP and TLS is used, by the client, and the
// caller's own Dialer stays as it was.
func TestAClientUsesItsCallersWrapAndLeavesTheDialerAlone(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(letIn))
	t.Cleanup(server.Close)
	f := link.Front{Host: server.Listener.Addr().String(), Path: "/", Pins: []link.Pin{link.PinOf(server.Certificate())}}
	var wrapped atomic.Int32
	d := &front.Dialer{Wrap: func(c net.Conn) net.Conn { wrapped.Add(1); return c }}
	if p := probeOf(t, f, d, nil); !p.Passed() || wrapped.Load() != 1 {
		t.Errorf("got %+v with %d connections wrapped, want all hops passed with 1", p, wrapped.Load())
	}
	mine, _ := net.Pipe()
	if got := d.Wrap(mine); got != mine || wrapped.Load() != 2 {
		t.Errorf("got the dialer's Wrap replaced, want it as it was")
	}
}

func TestProbeStopsWhereTheWayEnds(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(greetAndLeave))
	t.Cleanup(elsewhere.Close)
	there := elsewhere.Listener.Addr().String()
	for name, c := range map[string]struct {
		front      link.Front
		hops, want string
	}{
		"nobody listens":     {link.Front{Host: nobody.Addr(t).String(), Path: "/"}, "network", "connection refused"},
		"another's pin":      {link.Front{Host: there, Path: "/", Pins: []link.Pin{{1}}}, "network tls", "matches no pin"},
		"what is no website": {link.Front{Host: there, Path: "/", Pins: []link.Pin{link.PinOf(elsewhere.Certificate())}}, "network tls gate", "broke off"},
	} {
		p := probeOf(t, c.front, nil, nil)
		last := p.Hops[len(p.Hops)-1]
		if got := hopNames(p); p.Passed() || got != c.hops || last.Err == nil || !strings.Contains(last.Err.Error(), c.want) {
			t.Errorf("%s: got %q, %v; want %q, %q", name, got, last.Err, c.hops, c.want)
		}
	}
}

// greetAndLeave answers as a server of something else than HTTP does.
func greetAndLeave(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		io.WriteString(conn, "hi")
		conn.Close()
	}
}

func TestProbeTellsRefusalsApart(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]error{
		http.StatusOK: ErrNotLetIn, http.StatusNotFound: ErrNotLetIn, http.StatusForbidden: ErrNotLetIn,
		http.StatusBadGateway: errBehind, http.StatusGatewayTimeout: errBehind, http.StatusFound: errRedirect,
	} {
		p := probeFront(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }, nil)
		if got := p.Hops[len(p.Hops)-1].Err; hopNames(p) != "network tls gate" || !errors.Is(got, want) {
			t.Errorf("status %d: got %v, want %v", status, got, want)
		}
	}
}

// A clock that is wrong is put right by the front's date, and the gate asked
// once more.
func TestProbeLearnsTheTime(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	p := probeFront(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusOK)
			return
		}
		w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
		letIn(w, r)
	}, func() time.Time { return time.Now().Add(2 * time.Hour) })
	if off := (p.Ahead + 2*time.Hour).Abs(); !p.Passed() || asked.Load() != 2 || off > 5*time.Second {
		t.Errorf("got %+v after %d requests, want two hours behind after 2", p, asked.Load())
	}
}
