package origin_test

import (
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"culvert/internal/wire"
	"culvert/origin"
)

// An operator sees what an origin carries while it carries it: a media transfer
// may take an hour.
func TestBytesAreCountedWhileTheirTunnelRuns(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	x := n.node(t)
	c := startClient(t, n.master.Client(1), newFront(t, x).link())
	app, stream := net.Pipe()
	defer app.Close()
	c.Carry(stream, wire.Service{Kind: wire.Media}, []byte("hello"))
	far := <-x.streams
	defer far.Close()
	for _, end := range []net.Conn{app, far} {
		end.SetDeadline(time.Now().Add(10 * time.Second))
	}
	wantRead(t, far, "hello")
	go io.WriteString(far, strings.Repeat("x", 1000))
	wantRead(t, app, strings.Repeat("x", 1000))
	wantSoon(t, "5 bytes up", func() bool { return x.count(t, "culvert_bytes_total", "up") == 5 })
	x.wantCount(t, "culvert_bytes_total", "down", 1000)
	x.wantCount(t, "culvert_bytes_total", "media", 1005)
	x.wantCount(t, "culvert_bytes_total", "chat", 0)
}

// A rule or a query names labels without quotes and escapes.
func TestLabelsHaveNoSpaces(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	x, a := n.gatewayNode(t, func(c *origin.Config) { c.UserTunnels = 1 })
	c := startClient(t, n.master.Client(1), a.front())
	first := open(t, c, &x.run)
	_, stream := net.Pipe()
	c.Carry(stream, wire.Service{Kind: wire.Chat}, []byte("one too many"))
	wantSoon(t, "a refusal", func() bool { return x.count(t, "culvert_refused_total", "origin_is_full") > 0 })
	first.Close()
	x.Close()
	families, err := x.counters.Gather()
	if err != nil {
		t.Fatal(err)
	}
	plain := regexp.MustCompile("^[a-z0-9_]+$")
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !plain.MatchString(l.GetValue()) {
					t.Errorf("%s: got the label %s=%q, want no more than letters, digits and lines", f.GetName(), l.GetName(), l.GetValue())
				}
			}
		}
	}
}
