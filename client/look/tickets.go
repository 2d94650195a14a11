package look

import (
	"sync"

	utls "github.com/refraction-networking/utls"
)

// maxTickets is how many are kept: a client needs no more than it opens
// connections at once, which are seven at most, and servers send two for each.
const maxTickets = 8

// Tickets resume TLS sessions with one front, at whichever address and by whichever name
// they began. Each is handed out once, since one that is used twice tells who watches that
// both connections are of one client (RFC 8446, appendix C.4). uTLS leaves out one that
// is older than its server allows, and sends no early data.
type Tickets struct {
	mu   sync.Mutex // guards the following
	kept []*utls.ClientSessionState
	none bool // none is to be kept
}

// Get takes the newest ticket out.
func (t *Tickets) Get(string) (*utls.ClientSessionState, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := len(t.kept) - 1
	if last < 0 {
		return nil, false
	}
	newest := t.kept[last]
	t.kept[last] = nil
	t.kept = t.kept[:last]
	return newest, true
}

// Forget throws all away.
func (t *Tickets) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept, t.none = nil, false
}

// stop throws all away, and those to come: see ErrTicket.
func (t *Tickets) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept, t.none = nil, true
}

// Put keeps a ticket, in place of the oldest if there are too many. uTLS puts nil
// for one that it has left out, and has no longer.
func (t *Tickets) Put(_ string, ticket *utls.ClientSessionState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ticket == nil || t.none {
		return
	}
	if len(t.kept) == maxTickets {
		copy(t.kept, t.kept[1:])
		t.kept[maxTickets-1] = ticket
		return
	}
	t.kept = append(t.kept, ticket)
}
