package origin

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/seal"
	"culvert/internal/session"
	"culvert/internal/share"
	"culvert/internal/tasks"
	"culvert/internal/tunnel"
	"culvert/internal/wire"
)

// inMemory is an origin in memory whose gateway door hears what tests hand on, and what
// it has posted.
type inMemory struct {
	*Origin
	t      *testing.T
	master seal.Master
	signer *wire.Signer
	posted *posts
}

func newInMemory(t *testing.T) *inMemory {
	master := seal.NewMaster()
	o, posted := newPostingOrigin(t, master)
	o.acceptor.dial = func(context.Context, wire.Service) (net.Conn, error) {
		near, far := net.Pipe()
		go io.Copy(io.Discard, far)
		return near, nil
	}
	return &inMemory{o, t, master, wire.NewSigner(wire.GateKeys{master.GateKey()}), posted}
}

func (o *inMemory) client(user uint32) *RawClient { return NewRawClient(o.t, o.master.Client(user)) }

// hand hands text on for a connection, and wants it taken.
func (o *inMemory) hand(conn string, text []byte) {
	o.t.Helper()
	body := o.signer.Sign(wire.Handed{Event: wire.Message, Conn: conn, Text: text}, time.Now())
	w := httptest.NewRecorder()
	if o.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))); w.Code != http.StatusNoContent {
		o.t.Errorf("%s: got %d, want 204", conn, w.Code)
	}
	synctest.Wait()
}

// prove has c prove itself by its next message.
func (o *inMemory) prove(conn string, c *RawClient) {
	o.t.Helper()
	c.Hear(<-o.posted.to(conn))
	o.hand(conn, c.Message("", 1))
}

// sleep passes time, and waits for what is done then.
func (o *inMemory) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (o *inMemory) want(what string, got, want int) {
	o.t.Helper()
	if got != want {
		o.t.Errorf("%s: got %d, want %d", what, got, want)
	}
}

// A first flight that was copied costs some dials, and charges nobody.
func TestAFirstFlightDialsAndChargesNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newInMemory(t)
		defer o.Close()
		c := o.client(7)
		o.hand("a", c.HelloOpening(wire.MaxEarlyOpens+3))
		o.want("tunnels", o.table.Tunnels(), wire.MaxEarlyOpens)
		o.want("charged", int(o.table.Shares.Tunnels.Taken()), 0)
		o.want("carriers", o.table.Carriers.Of(7), 0)
		o.prove("a", c)
		o.want("charged after the proof", int(o.table.Shares.Tunnels.Taken()), wire.MaxEarlyOpens)
		o.want("carriers after the proof", o.table.Carriers.Of(7), 1)
		o.table.Abandon()
		synctest.Wait()
		o.want("charged at the end", int(o.table.Shares.Tunnels.Taken()), 0)
	})
}

// What a carrier that proved nothing began is charged when another serves it.
func TestAFirstFlightThatMovedIsCharged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newInMemory(t)
		defer o.Close()
		first := o.client(7)
		second := first.Next()
		o.hand("a", first.HelloOpening(1))
		o.hand("b", second.HelloOpening(1))
		o.prove("b", second)
		o.hand("b", second.message("", "", 2, opens(1, 1)))
		o.want("tunnels", o.table.Tunnels(), 1)
		o.sleep(session.ProveWithin + 2*sweepEvery)
		o.want("unproven carriers", o.table.Carriers.AllUnproven(), 0)
		o.want("charged", int(o.table.Shares.Tunnels.Taken()), 1)
		o.want("still early", len(o.acceptor.early.by)+len(o.acceptor.early.of), 0)
	})
}

// Whoever has copied a token has a carrier for a while, and nothing of it is left.
func TestACarrierThatProvesNothingEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newInMemory(t)
		defer o.Close()
		o.admission.unproven = share.NewPool[uint32, struct{}](leastUnproven)
		for i := range leastUnproven + 5 {
			o.hand(string(rune('A'+i)), o.client(7).Hello(""))
		}
		o.want("unproven carriers", o.table.Carriers.AllUnproven(), o.admission.unproven.Len())
		o.want("connections", o.gateway.connections(), leastUnproven*7/8)
		o.sleep(session.ProveWithin + 2*sweepEvery)
		o.want("carriers later", o.table.Carriers.Len(), 0)
		o.want("connections later", o.gateway.connections(), 0)
		o.want("remembered later", o.admission.unproven.Len(), 0)
		o.sleep(wire.HoldTunnel + session.ProveWithin + 2*sweepEvery)
		o.want("sessions later", o.admission.sessions.Sessions(), 0)
		o.sleep(2*wire.TokenLife + sweepEvery)
		o.want("tokens in the end", len(o.admission.taken.users), 0)
	})
}

// When an edge that was gone is back, all its clients come in the same moment: none loses its carrier to another before its
// first record has come.
func TestAllCarriersMayBeUnprovenAtOnce(t *testing.T) {
	t.Parallel()
	pool, lost := newAdmission(Config{MaxCarriers: 1000}).unproven, 0
	for user := range uint32(1000) {
		pool.Enter(user, struct{}{}, func() { lost++ })
	}
	if lost > 0 {
		t.Errorf("%d of 1000 lost their carriers, want none", lost)
	}
}

// All unproven carriers, those that count and their tunnels may take more files than there are. One user's crowd leaves
// files for others then.
func TestUnprovenCarriersGrowNoMoreWhereFilesAreScarce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newInMemory(t)
		defer o.Close()
		scarce := false
		o.admission.scarce = func() bool { return scarce }
		for i := range 20 {
			scarce = i >= 10
			o.hand(string(rune('A'+i)), o.client(7).Hello(""))
		}
		o.want("unproven carriers", o.table.Carriers.AllUnproven(), 10)
	})
}

// Carriers that prove themselves at once are no more than there may be. Those of another
// session take the place of whoever has most.
func TestAUserProvesNoMoreCarriersThanItMayHave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newInMemory(t)
		defer o.Close()
		o.table.Shares.Carriers = share.NewBound[uint32](1)
		first := o.client(7)
		other := o.client(8)
		o.hand("a", first.Hello(""))
		o.prove("a", first)
		o.hand("b", first.Next().Hello("")) // its first record proves it
		o.want("carriers", o.table.Carriers.Of(7), 1)
		if o.gateway.find("a") == nil || o.gateway.find("b") != nil {
			t.Error("got another carrier than the first that has proved itself")
		}
		o.hand("c", other.Hello(""))
		o.prove("c", other)
		if o.gateway.find("a") != nil || o.gateway.find("c") == nil {
			t.Error("got another user kept out by whoever came first")
		}
	})
}

// A first flight may be a copy. It costs some dials and is charged to nobody, and the
// user is charged with what is left of it when the carrier has proved itself.
func TestAFirstFlightIsChargedWhenItsCarrierHasProvedItself(t *testing.T) {
	t.Parallel()
	e := newEarlyTunnels(100, tasks.NewGroup())
	c, of := &carrier.Carrier{User: 7}, &tunnel.Session{}
	for id := range uint32(wire.MaxEarlyOpens) {
		if !e.add(c, tunnelKey{of, id}, time.Now()) {
			t.Fatalf("tunnel %d is refused", id)
		}
	}
	if e.add(c, tunnelKey{of, 100}, time.Now()) {
		t.Errorf("got more than %d tunnels of one first flight", wire.MaxEarlyOpens)
	}
	if !e.remove(tunnelKey{of, 0}) || e.remove(tunnelKey{of, 0}) {
		t.Error("a tunnel that ended early is not uncharged once")
	}
	if n := e.room.Len(); n != wire.MaxEarlyOpens-1 {
		t.Errorf("got %d tunnels that nobody is charged with, want the %d that live", n, wire.MaxEarlyOpens-1)
	}
	e.proved(c)
	if n := e.room.Len(); n != 0 {
		t.Errorf("got %d tunnels that nobody is charged with after the proof, want none", n)
	}
	if e.remove(tunnelKey{of, 1}) || len(e.by)+len(e.of) != 0 {
		t.Error("what was charged is still remembered as early")
	}
}

// First flights are bounded apart from what a user's proved carriers open.
func TestAUsersFirstFlightsAreBounded(t *testing.T) {
	t.Parallel()
	e, now, begun := newEarlyTunnels(4*earlyBurst, tasks.NewGroup()), time.Unix(1_800_000_000, 0), 0
	of := &tunnel.Session{}
	for range 2 * earlyBurst {
		if e.add(&carrier.Carrier{User: 7}, tunnelKey{of, uint32(begun)}, now) {
			begun++
		}
	}
	if begun != earlyBurst {
		t.Errorf("got %d tunnels at once, want %d", begun, earlyBurst)
	}
	if !e.add(&carrier.Carrier{User: 8}, tunnelKey{of, 0}, now) {
		t.Error("another user is refused")
	}
}
