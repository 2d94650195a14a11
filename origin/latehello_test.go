package origin_test

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"culvert/internal/wire"
	"culvert/origin"
)

// fleet is two origins behind one API Gateway, whose functions ask the first one
// for whoever brings no ticket. What they dial echoes.
type fleet struct {
	network
	*apiGateway
	first, second *node
	copies        handing                     // hands to the second
	twice         bool                        // each hello goes there before it goes to the first
	hello         atomic.Pointer[wire.Handed] // the first that came
}

func newFleet(t *testing.T, twice bool) *fleet {
	f := &fleet{network: newNetwork(), twice: twice}
	f.first, f.apiGateway = f.gatewayNode(t)
	f.second = f.node(t, func(c *origin.Config) { c.Gateway = f.gateway() })
	f.copies = f.handing(t, f.second)
	f.route = f.owner
	for _, x := range []*node{f.first, f.second} {
		go echo(x.streams)
		t.Cleanup(func() { close(x.streams) })
	}
	return f
}

func echo(streams <-chan net.Conn) {
	for s := range streams {
		go io.Copy(s, s)
	}
}

// owner is the function's: where h goes.
func (f *fleet) owner(h wire.Handed) string {
	up, _ := wire.ParseUp(h.Text)
	owner, err := wire.NewTickets(f.gates).Open(up.Ticket, time.Now())
	if err == nil {
		return "http://" + owner.At.String()
	}
	if f.hello.CompareAndSwap(nil, &h) && f.twice {
		f.copies.text(h.Conn, h.Text)
	}
	return f.first.server.URL
}

// API Gateway may hand a hello to two functions, and these to two origins: both
// answer, and number what they send from 0.
func TestAHelloThatTwoOriginsTake(t *testing.T) {
	t.Parallel()
	for name, twice := range map[string]bool{"at once": true, "late": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, twice)
			c := startClient(t, f.master.Client(1), f.front())
			app, stream := net.Pipe()
			defer app.Close()
			c.Carry(stream, wire.Service{Kind: wire.Chat}, []byte("hello"))
			app.SetDeadline(time.Now().Add(20 * time.Second))
			wantRead(t, app, "hello")
			if h := f.hello.Load(); !twice {
				f.copies.text(h.Conn, h.Text)
			}
			for n := 0; n < 20 && !t.Failed(); n++ {
				go io.WriteString(app, "ask")
				wantRead(t, app, "ask")
			}
		})
	}
}
