package tunnel

import (
	"time"

	"culvert/internal/carrier"
	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// clientParty is a client's end of a carrier.
type clientParty struct {
	*session.ClientCarrier
	of *Session
}

// Handler implements carrier.Party.
func (p clientParty) Handler() carrier.Handler { return p.of }

// Late implements carrier.Party: origins have no time to keep.
func (p clientParty) Late(time.Time) bool { return false }

// Renew implements carrier.Party.
func (p clientParty) Renew(now time.Time) ([]byte, bool) { return p.Again(now) }

// Renewal implements carrier.Party.
func (p clientParty) Renewal(f wire.Frame, now time.Time) ([]byte, error) {
	if f.Kind != wire.Answer {
		return nil, wire.ErrFrame
	}
	p.Answer(f.Body, now)
	return nil, nil
}

// originParty is an origin's end of a carrier.
type originParty struct {
	*session.OriginCarrier
	table *Table
}

// NewCarrier makes an origin's carrier of user's over t. Call its Serve or Start next.
func (tb *Table) NewCarrier(t transport.Transport, oc *session.OriginCarrier, user uint32) *carrier.Carrier {
	return carrier.New(tb.Carriers, t, originParty{oc, tb}, user)
}

// Handler implements carrier.Party.
func (p originParty) Handler() carrier.Handler { return p.table.sessionOf(p.Session()) }

// Renew implements carrier.Party: it is the client that agrees again.
func (p originParty) Renew(time.Time) ([]byte, bool) { return nil, false }

// Renewal implements carrier.Party.
func (p originParty) Renewal(f wire.Frame, now time.Time) ([]byte, error) {
	if f.Kind != wire.Again {
		return nil, wire.ErrFrame
	}
	return p.Again(f.Body, now)
}

// Unseal has a client's carrier sealed by TLS alone from now on, if that ends at the origin.
func Unseal(c *carrier.Carrier) {
	if p, ok := c.Party().(clientParty); ok {
		p.Unseal(c.Export())
	}
}

// IsStale reports whether a client is to replace a carrier, which TLS alone has sealed for long.
func IsStale(c *carrier.Carrier, now time.Time) bool {
	p, ok := c.Party().(clientParty)
	return ok && p.Stale(now)
}
