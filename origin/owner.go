package origin

import (
	"net/http"
	"net/netip"
	"time"

	"culvert/internal/wire"
)

// ticket leads user's carriers and messages back to this origin. It is empty
// where nobody could follow it.
func (o *Origin) ticket(user uint32) string {
	if !o.cfg.Advertise.IsValid() {
		return ""
	}
	return o.tickets.New(wire.Owner{At: o.cfg.Advertise, User: user}, time.Now())
}

// owner is the other origin that r's ticket names, and whose it is; false if
// this origin is to serve r.
func (o *Origin) owner(r *http.Request, ticket string) (wire.Owner, bool) {
	if !o.cfg.Advertise.IsValid() || r.Header.Get(wire.PassedHeader) != "" {
		return wire.Owner{}, false
	}
	owner, err := o.tickets.Open(ticket, time.Now())
	return owner, err == nil && owner.At != o.cfg.Advertise && o.mayReach(owner.At)
}

// mayReach bounds what tickets can make an origin dial, should a gate's key
// ever leak: this machine or its network, and no port of the system.
func (o *Origin) mayReach(at netip.AddrPort) bool {
	ip := at.Addr()
	inside := ip == o.cfg.Advertise.Addr() || wire.IsInside(ip)
	return inside && at.Port() >= 1024
}
