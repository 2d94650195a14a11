package origin_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"culvert/client"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/wire"
	"culvert/origin"
)

// place is an address at which one origin after the other answers.
type place struct {
	master seal.Master
	server *httptest.Server
	now    atomic.Pointer[run]
}

// run is an origin between two starts.
type run struct {
	*origin.Origin
	counters *prometheus.Registry
	streams  chan net.Conn // what it dialled, from the far end
}

func newPlace(t *testing.T) *place {
	p := &place{master: seal.NewMaster()}
	p.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.now.Load().ServeHTTP(w, r) }))
	t.Cleanup(p.server.Close)
	p.restart(t)
	return p
}

// restart puts a new origin in the place of the old one, which ends.
func (p *place) restart(t *testing.T) *run {
	t.Helper()
	r := &run{counters: prometheus.NewRegistry(), streams: make(chan net.Conn, 16)}
	dial := func(context.Context, wire.Service) (net.Conn, error) {
		near, far := net.Pipe()
		r.streams <- far
		return near, nil
	}
	var err error
	if r.Origin, err = origin.New(origin.Config{Master: p.master, Dial: dial, Metrics: r.counters}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if old := p.now.Swap(r); old != nil {
		old.Close()
	}
	return r
}

// client is one whose clock is ahead by that much.
func (p *place) client(t *testing.T, ahead time.Duration) *client.Client {
	t.Helper()
	front := link.Front{Host: p.server.Listener.Addr().String(), Path: "/", Pins: []link.Pin{link.PinOf(p.server.Certificate())}}
	c, err := client.New(client.Config{
		Link: &link.Link{Keys: p.master.Client(1), Fronts: []link.Front{front}},
		Now:  func() time.Time { return time.Now().Add(ahead) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return c
}

// carry opens a stream whose first bytes are early, and checks that they reach
// r's far end once and that its answer comes back.
func carry(t *testing.T, c *client.Client, r *run, early string) {
	t.Helper()
	app, stream := net.Pipe()
	defer app.Close()
	c.Carry(stream, wire.Service{Kind: wire.Chat}, []byte(early))
	app.SetDeadline(time.Now().Add(10 * time.Second))
	var far net.Conn
	select {
	case far = <-r.streams:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: the origin dials nothing", early)
	}
	defer far.Close()
	far.SetDeadline(time.Now().Add(10 * time.Second))
	const late, answer = " and what follows", "an answer"
	go io.WriteString(app, late)
	wantRead(t, far, early+late)
	go io.WriteString(far, answer)
	wantRead(t, app, answer)
}

func wantRead(t *testing.T, from net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(from, got); err != nil || string(got) != want {
		t.Errorf("got %q and %v, want %q", got, err, want)
	}
}

// count is what a counter stands at where a label has the value.
func (r *run) count(t *testing.T, name, value string) (sum float64) {
	t.Helper()
	families, err := r.counters.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetValue() == value {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

func (r *run) wantCount(t *testing.T, name, value string, want float64) {
	t.Helper()
	if got := r.count(t, name, value); got != want {
		t.Errorf("%s of %q: got %v, want %v", name, value, got, want)
	}
}

// A client goes on at an origin that was restarted, whatever it takes the time for: a
// token's time is all that the origin looks at, and the front tells the client that.
func TestATunnelOpensAtAnOriginThatWasRestarted(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]time.Duration{"in time": 0, "late": 20 * time.Second, "hours late": 10 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			first := p.now.Load()
			c := p.client(t, -late)
			carry(t, c, first, "the session's first")
			carry(t, c, first, "another")
			second := p.restart(t)
			carry(t, c, second, "the next session's first")
			carry(t, c, second, "another")
			for _, r := range []*run{first, second} {
				r.wantCount(t, "culvert_tunnels_opened_total", wire.Chat.String(), 2)
			}
			if got := first.count(t, "culvert_tokens_refused_total", "not_admitted"); (got > 0) != (late > wire.TokenLife) {
				t.Errorf("got %v tokens refused", got)
			}
			second.wantCount(t, "culvert_tokens_refused_total", "not_admitted", 0)
		})
	}
}
