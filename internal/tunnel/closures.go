package tunnel

import (
	"slices"

	"culvert/internal/carrier"
	"culvert/internal/wire"
)

// closure is the last word of a tunnel that had no carrier to say it: a Reset,
// or an Ack when all was in order.
type closure struct {
	header    wire.Header
	originRef any // of the tunnel's last carrier; nil: it had none
}

// maxPending bounds the closures that are kept. When one is dropped, the peer's end
// expires.
const maxPending = 1024

func (tb *Table) closeLater(e closure) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if len(tb.pending) == maxPending {
		tb.pending = tb.pending[1:]
	}
	tb.pending = append(tb.pending, e)
}

// PendingClosures lists the origins for which SendClosures has something.
func (tb *Table) PendingClosures() (origins []any) {
	tb.mu.RLock()
	defer tb.mu.RUnlock()
	for _, u := range tb.pending {
		if !slices.Contains(origins, u.originRef) {
			origins = append(origins, u.originRef)
		}
	}
	return origins
}

// SendClosures tells the peer by c, a carrier to c.OriginRef, how tunnels ended
// that had no carrier then, or one that died right after. It is for clients: an
// origin answers when it is asked.
func (tb *Table) SendClosures(c *carrier.Carrier) {
	var due []closure
	tb.mu.Lock()
	tb.pending = slices.DeleteFunc(tb.pending, func(u closure) bool {
		isDue := u.originRef == nil || u.originRef == c.OriginRef
		if isDue {
			due = append(due, u)
		}
		return isDue
	})
	tb.mu.Unlock()
	for _, u := range due {
		c.PutControl(u.header)
	}
}

// closedTunnels remembers the last ack of tunnels that ended in order: the latest
// closedKept of them.
type closedTunnels struct {
	ack  map[wire.TunnelID]uint64
	ring []wire.TunnelID
	next int
}

const closedKept = 4096

func (e *closedTunnels) put(id wire.TunnelID, ack uint64) {
	if e.ack == nil {
		e.ack = map[wire.TunnelID]uint64{}
	}
	if len(e.ring) < closedKept {
		e.ring = append(e.ring, id)
	} else {
		delete(e.ack, e.ring[e.next])
		e.ring[e.next] = id
		e.next = (e.next + 1) % closedKept
	}
	e.ack[id] = ack
}
