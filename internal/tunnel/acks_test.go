package tunnel

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

func TestAcksOfManyTunnelsShareAMessage(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		c, far := n.carrier(fate{}, fate{})
		var apps []*memStream
		for range 100 {
			app, service, _ := joined(t, n, c)
			apps = append(apps, app)
			go io.Copy(io.Discard, service)
		}
		time.Sleep(time.Second)
		before := n.socket(far).messages()
		for _, app := range apps {
			app.Write([]byte("hello"))
		}
		time.Sleep(time.Second)
		if got := n.socket(far).messages() - before; got > 3 {
			t.Errorf("got %d messages of acks, want one or so", got)
		}
	})
}

func TestAnIdleTunnelKeepsNoFrames(t *testing.T) {
	t.Parallel()
	eitherWay(t, func(t *testing.T, n *Net, a, b *memStream) {
		if n.gateway() {
			return // acks wait for company
		}
		go io.Copy(io.Discard, b)
		a.Write(bytesOf(10<<10, 1))
		time.Sleep(transport.StreamProfile().AckDelay + 3*time.Millisecond) // there and back, and a quantum
		for _, tun := range append(n.near.allTunnels(), n.far.allTunnels()...) {
			tun.mu.Lock()
			s, r := &tun.send, &tun.recv
			if len(s.kept)+len(s.gone)+len(s.lost)+len(r.queue)+len(r.ahead) > 0 || s.bytes+r.bytes != 0 {
				t.Errorf("got %d pieces to be acked, %d to be written, %d held, want none", len(s.kept), len(r.queue), len(r.ahead))
			}
			tun.mu.Unlock()
		}
		a.Close()
	})
}

func TestAQuarterOfTheWindowIsAckedAtOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		c, _ := n.carrier(fate{}, fate{})
		app, service, tun := joined(t, n, c)
		go io.Copy(io.Discard, service)
		app.Write(bytesOf(wire.FirstWindow/4, 1))
		synctest.Wait()
		tun.mu.Lock()
		defer tun.mu.Unlock()
		if tun.send.acked != wire.FirstWindow/4 {
			t.Errorf("got %d bytes acked, want %d", tun.send.acked, wire.FirstWindow/4)
		}
	})
}

// At the gateway door a message is paid for: an exchange of chat is two of them, one each
// way, and acks ride along.
func TestAnExchangeByTheGatewayDoorIsTwoMessages(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		n.door = session.Gateway
		c, far := n.first()
		app, service, _ := joined(t, n, c)
		const exchanges = 50
		count := func() int { return n.socket(c).messages() + n.socket(far).messages() }
		before := count()
		for range exchanges {
			app.Write(bytesOf(300, 1))
			io.ReadFull(service, make([]byte, 300))
			time.Sleep(100 * time.Millisecond)
			service.Write(bytesOf(900, 2))
			io.ReadFull(app, make([]byte, 900))
			time.Sleep(20 * time.Second)
		}
		if got := count() - before; got > 2*exchanges+exchanges/10 {
			t.Errorf("got %d messages for %d exchanges, want two each", got, exchanges)
		}
	})
}

// A message that says nothing is not sent: an idle carrier of the gateway door costs
// nothing once the ends have agreed.
func TestAnIdleCarrierOfTheGatewayDoorSendsNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		n.door = session.Gateway
		for join := range 2 {
			c, far := n.first()
			if up, down := n.socket(c).messages(), n.socket(far).messages(); up > 3-join || down > 3 {
				t.Errorf("got %d messages up and %d down to begin with, want a few", up, down)
			}
			before := n.socket(c).messages() + n.socket(far).messages()
			time.Sleep(4 * time.Minute)
			if got := n.socket(c).messages() + n.socket(far).messages() - before; got > 0 {
				t.Errorf("got %d messages of an idle carrier, want none", got)
			}
		}
	})
}

// An ack that is due soon by a carrier that dies goes by another, also while the client
// has not heard of that end.
func TestAnAckThatWasDueByADeadCarrierGoesByAnother(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		one, _ := n.first()
		two, farTwo := n.carrier(fate{}, fate{})
		app, service, tun := joined(t, n, one)
		tun.Add(two)
		time.Sleep(time.Second)
		go io.Copy(io.Discard, service)
		app.Write(bytesOf(20<<10, 1))
		time.Sleep(transport.StreamProfile().AckSoon / 2)
		n.socket(farTwo).change(func(f *fate) { f.silent = true })
		if n.gateway() {
			time.Sleep(100 * time.Millisecond)
		}
		farTwo.Close()
		time.Sleep(2 * time.Second)
		tun.mu.Lock()
		defer tun.mu.Unlock()
		if tun.send.acked != 20<<10 || two.Dead() {
			t.Errorf("got %d bytes acked, want %d", tun.send.acked, 20<<10)
		}
	})
}
