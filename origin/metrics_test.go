package origin_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"culvert/client"
	"culvert/internal/carrier"
	"culvert/internal/link"
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
	x, a := n.gatewayNode(t, func(c *origin.Config) { c.MaxTunnels = 1 })
	c := startClient(t, n.master.Client(1), a.front())
	first := open(t, c, &x.run)
	wantRefusal(t, x, c)
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

// wantRefusal has c open tunnels until it is refused one: the first that a carrier brings are
// charged late.
func wantRefusal(t *testing.T, x *node, c *client.Client) {
	t.Helper()
	wantSoon(t, "a refusal", func() bool {
		_, stream := net.Pipe()
		c.Carry(stream, wire.Service{Kind: wire.Chat}, []byte("one too many"))
		return x.count(t, "culvert_refused_total", "origin_is_full") > 0
	})
}

// A user for whom there is no place is no stranger: an operator adds an origin for
// the one, and looks for a censor because of the other.
func TestAFullOriginCountsARefusalAndNoStranger(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	x := n.node(t, func(c *origin.Config) { c.MaxTunnels = 1 })
	c := startClient(t, n.master.Client(1), newFront(t, x).link())
	open(t, c, &x.run)
	wantRefusal(t, x, c)
	if got := x.metrics(); !strings.Contains(got, "\nculvert_strangers_total 0\n") {
		t.Errorf("got the metrics %s, want no stranger", got)
	}
}

// An operator sees whether carriers are cut, and by what: a rule finds every cause there
// from the beginning.
func TestTheCausesOfCarriersEndsAreCounted(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	x := n.node(t)
	for _, why := range carrier.Causes() {
		line := fmt.Sprintf("\nculvert_carriers_ended_total{cause=%q} 0\n", strings.ReplaceAll(why.String(), " ", "_"))
		if got := x.metrics(); !strings.Contains(got, line) {
			t.Errorf("got the metrics %s, want %s", got, line)
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	c, err := client.New(client.Config{Link: &client.Link{Keys: n.master.Client(1), Fronts: []link.Front{newFront(t, x).link()}}})
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() { defer close(gone); c.Run(ctx) }()
	wantSoon(t, "a carrier", func() bool { return c.Status().Connected && c.Status().RTT > 0 })
	leave()
	<-gone
	wantSoon(t, "an end that the client made", func() bool {
		return x.count(t, "culvert_carriers_ended_total", "closed")+x.count(t, "culvert_carriers_ended_total", "cut") == 1
	})
	x.Close()
	x.wantCount(t, "culvert_carriers_ended_total", "ended_here", 0)
}

// metrics is what an operator who asks for them is shown.
func (r *run) metrics() string {
	shown := httptest.NewRecorder()
	promhttp.HandlerFor(r.counters, promhttp.HandlerOpts{}).ServeHTTP(shown, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return shown.Body.String()
}

// make status reads gauges of origins by their names: one that an origin does not
// have would show nothing.
func TestTheNamesThatOthersReadAreAnOrigins(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	x, _ := n.gatewayNode(t)
	ours := x.metrics()
	status, err := os.ReadFile("../cmd/cloud/status.go")
	if err != nil {
		t.Fatal(err)
	}
	read := regexp.MustCompile(`gauges\["(culvert_\w+)"\]`).FindAllSubmatch(status, -1)
	filter := regexp.MustCompile(`\^culvert_\(([a-z_|]+)\) `).FindSubmatch(status)
	if len(read) == 0 || filter == nil {
		t.Fatal("got no names in cmd/cloud/status.go: where are they?")
	}
	asked := strings.Split(string(filter[1]), "|")
	for _, name := range read {
		if !slices.Contains(asked, strings.TrimPrefix(string(name[1]), "culvert_")) {
			t.Errorf("%s is shown, but not asked for", name[1])
		}
	}
	for _, name := range asked {
		if !strings.Contains(ours, "\n# TYPE culvert_"+name+" gauge\nculvert_"+name+" 0\n") {
			t.Errorf("got the metrics %s, want one gauge culvert_%s without labels", ours, name)
		}
	}
}
