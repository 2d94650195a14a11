package origin_test

import (
	"net"
	"sync/atomic"
	"testing"

	"culvert/internal/wire"
	"culvert/origin"
)

// A user who is revoked opens no tunnel by the carrier that came before, neither the
// first of a session nor a further one; others do, and so does the user whose links are
// good again.
func TestARevokedUserOpensNoTunnel(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	var revoked atomic.Bool
	x := n.node(t, func(c *origin.Config) {
		c.Revoked = func(user uint32) bool { return user != 3 && revoked.Load() }
	})
	f := newFront(t, x)
	goesOn, anew, other := startClient(t, n.master.Client(1), f.link()), startClient(t, n.master.Client(2), f.link()), startClient(t, n.master.Client(3), f.link())
	carry(t, goesOn, &x.run, "before")
	if err := anew.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	revoked.Store(true)
	for _, c := range []interface {
		Carry(net.Conn, wire.Service, []byte)
	}{goesOn, anew} {
		app, stream := net.Pipe()
		defer app.Close()
		before := x.count(t, "culvert_refused_total", "tunnel_refused")
		c.Carry(stream, wire.Service{Kind: wire.Chat}, []byte("x"))
		wantSoon(t, "a refusal", func() bool { return x.count(t, "culvert_refused_total", "tunnel_refused") > before })
	}
	carry(t, other, &x.run, "not revoked")
	revoked.Store(false)
	carry(t, goesOn, &x.run, "good again")
	carry(t, anew, &x.run, "good again, too")
	x.wantCount(t, "culvert_tunnels_opened_total", "chat", 4)
}
