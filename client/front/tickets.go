package front

import (
	"crypto/tls"
	"sync"
)

// maxTickets is how many a front's memory keeps: a client needs no more than it opens
// connections at once, and servers send two for each.
const maxTickets = 4

// tickets resume TLS sessions with one front, at whichever address and by whichever name
// they began. Each is handed out once, since one that is used twice tells who watches that
// both connections are of one client (RFC 8446, appendix C.4). crypto/tls leaves out one that
// is older than its server allows, and sends no early data.
type tickets struct {
	mu   sync.Mutex // guards the following
	kept []*tls.ClientSessionState
}

// Get takes the newest ticket out.
func (t *tickets) Get(string) (*tls.ClientSessionState, bool) {
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

// Put keeps a ticket, in place of the oldest if there are too many. crypto/tls puts nil
// for one that it has left out, and has no longer.
func (t *tickets) Put(_ string, ticket *tls.ClientSessionState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ticket == nil {
		return
	}
	if len(t.kept) == maxTickets {
		copy(t.kept, t.kept[1:])
		t.kept[maxTickets-1] = ticket
		return
	}
	t.kept = append(t.kept, ticket)
}
