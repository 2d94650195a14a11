package origin_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"culvert/client"
	"culvert/internal/wire"
	"culvert/origin"
	"culvert/test/leak"
)

// stuck is the way to an API Gateway that takes no message once it is shut.
type stuck struct {
	http.RoundTripper
	shut  atomic.Bool
	posts atomic.Int32 // that wait
}

func (s *stuck) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && s.shut.Load() {
		s.posts.Add(1)
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return s.RoundTripper.RoundTrip(r)
}

// After Close no goroutine of an origin is left, whatever is under way: tunnels by
// both doors, carriers that are passed on, dials, and posts that nobody takes.
func TestNothingIsLeftOfAnOriginThatIsClosed(t *testing.T) {
	before := leak.Running()
	t.Run("under way", func(t *testing.T) {
		n := newNetwork()
		way, dials := new(stuck), make(chan struct{}, 16)
		b, api := n.gatewayNode(t, func(c *origin.Config) {
			way.RoundTripper = c.Gateway.Client.Transport
			c.Gateway.Client = &http.Client{Transport: way}
			usual := c.Dial
			c.Dial = func(ctx context.Context, s wire.Service) (net.Conn, error) {
				if s.Kind != wire.Media {
					return usual(ctx, s)
				}
				dials <- struct{}{}
				<-ctx.Done()
				return nil, ctx.Err()
			}
		})
		a := n.node(t)
		f := newFront(t, b)
		direct := startClient(t, n.master.Client(1), f.link())
		byGateway := startClient(t, n.master.Client(2), api.front())
		streams := []net.Conn{open(t, direct, &b.run), open(t, byGateway, &b.run)}
		f.next.Store(a)
		f.cut()
		wantSoon(t, "a carrier is passed on", func() bool { return a.count(t, "culvert_passed_total", "carrier") > 0 })
		for _, c := range []*client.Client{direct, byGateway} {
			_, stream := net.Pipe()
			c.Carry(stream, wire.Service{Kind: wire.Media}, []byte("x"))
			<-dials
		}
		way.shut.Store(true)
		go io.WriteString(streams[1], strings.Repeat("x", 1<<20))
		wantSoon(t, "posts wait", func() bool { return way.posts.Load() > 0 })
		for _, x := range []*node{a, b} {
			x.Close()
		}
		if left := leak.Since(before).With("culvert/origin.").Without("net/http.(*conn).serve"); len(left) > 0 {
			t.Errorf("got %d goroutines of a closed origin, want none:\n\n%v", len(left), left)
		}
		for _, s := range streams {
			s.SetDeadline(time.Now().Add(10 * time.Second))
			io.Copy(io.Discard, s)
			s.Close()
		}
	})
	before.Check(t)
}
