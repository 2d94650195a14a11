package client

import (
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/cpu"

	"culvert/internal/carrier"
	"culvert/internal/seal"
	"culvert/internal/session"
	"culvert/internal/tunnel"
)

// home is one origin, as the client knows it: the session that it has with it, and the
// ticket that leads back to it whichever front a carrier takes. New tunnels go to the
// pool's home; one that was left keeps its session until its tunnels are over.
type home struct {
	agreed  *session.Client
	session *tunnel.Session // agreed, with its tunnels
	tries   tries           // of the goroutine that fetches
	paths   paths

	mu       sync.Mutex       // guards the following
	carriers []*activeCarrier // those that are served, oldest first
	tickets  []ticket         // one for each front, the newest first; none: there is no other origin
	turn     int              // how many carriers have led to other origins, one after another
	sought   bool             // its tunnels are being fetched
	told     bool             // a carrier was made only to tell how tunnels ended: another is not worth its price
	strayed  time.Time        // since when carriers have led to other origins alone; zero: they do not
	proved   bool             // an origin has agreed on the session
	wary     bool             // an origin that was led to by its ticket has not agreed: no ticket is believed until one does
}

// ticket is the newest that came by a front, which may have forged it.
type ticket struct {
	front int
	text  string
}

// newHome is an origin that is still to be found.
func newHome(table *tunnel.Table, pair *seal.Pair) *home {
	agreed := session.NewClient(pair, fastCipher())
	return &home{agreed: agreed, session: table.NewSession(agreed)}
}

// fastCipher is AES where the processor has instructions for it. Without them ChaCha20 is 1.2 to 2 times
// as fast (docs/PERFORMANCE.md).
func fastCipher() session.Cipher {
	if cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ || cpu.ARM64.HasAES && cpu.ARM64.HasPMULL || cpu.S390X.HasAESGCM {
		return session.AESGCM
	}
	return session.ChaCha20Poly1305
}

// begin counts l among the carriers that are served.
func (h *home) begin(l *activeCarrier) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.carriers = append(h.carriers, l)
}

// end forgets l, and notes if it led to another origin.
func (h *home) end(l *activeCarrier, why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.note()
	if l.led && !l.Live() && !h.proved { // whoever gave that ticket takes no new session: it drains, perhaps
		h.tickets, h.wary = nil, true
	}
	h.carriers = slices.DeleteFunc(h.carriers, func(other *activeCarrier) bool { return other == l })
	if !errors.Is(why, session.ErrElsewhere) {
		return
	}
	h.turn++
	if h.strayed.IsZero() {
		h.strayed = time.Now()
	}
}

// note learns from the carriers whose origin has proved that it is this one. What
// others bring, tickets too, would lead astray; but before anybody has agreed, what a
// carrier said may have come to whoever gave the newest ticket. mu is held.
func (h *home) note() {
	for _, l := range h.carriers {
		if l.Live() {
			h.proved, h.strayed, h.turn = true, time.Time{}, 0
		} else if h.proved || h.wary {
			continue
		}
		if t := l.ticket(); t != "" {
			h.keep(ticket{l.front, t})
		}
	}
}

// keep makes t the newest. mu is held.
func (h *home) keep(t ticket) {
	others := slices.DeleteFunc(h.tickets, func(other ticket) bool { return other.front == t.front })
	h.tickets = slices.Insert(others, 0, t)
}

// way is the ticket that leads to the origin, or empty. One that leads astray is brought
// again, as its origin may not have been reached at the moment. Its front may have forged it, too:
// every other carrier after that brings one that came by another front, or none.
func (h *home) way() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.note()
	i := 0
	if h.turn > 0 && h.turn%2 == 0 {
		i = 1 + (h.turn/2-1)%max(len(h.tickets), 1)
	}
	if i < len(h.tickets) {
		return h.tickets[i].text
	}
	return ""
}

// strayLimit is for how long a home's origin is looked for while other origins answer.
// It is gone, as a rule, and the app is not to wait for what went with it.
const strayLimit = 30 * time.Second

// isLost reports whether all carriers have led to other origins for so long that
// the home's tunnels are over.
func (h *home) isLost() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.note()
	return !h.strayed.IsZero() && time.Since(h.strayed) > strayLimit
}

// needsCarrier reports whether tunnels of the home have none, or nobody has told how
// some ended, and the origin may be found.
func (h *home) needsCarrier() bool {
	return (len(h.session.Orphans()) > 0 || h.hasLastWords()) && !h.isLost()
}

// hasLastWords reports whether a home that was left is to be told how tunnels ended.
func (h *home) hasLastWords() bool {
	h.mu.Lock()
	told := h.told
	h.mu.Unlock()
	return !told && h.session.HasClosures()
}

// tell notes that a carrier was made, if there is nothing for it but last words. The
// origin gives up by itself what it does not hear of.
func (h *home) tell() {
	onlyThat := len(h.session.Orphans()) == 0
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = h.told || onlyThat
}

// isOver reports whether nothing is left for which a home that was left is kept.
func (h *home) isOver() bool {
	h.mu.Lock()
	isServed := len(h.carriers) > 0
	h.mu.Unlock()
	return !isServed && h.session.Tunnels() == 0 && (!h.hasLastWords() || h.isLost())
}

// working is a carrier that leads to the origin now; nil: there is none.
func (h *home) working() *activeCarrier { return h.workingBut(nil) }

// workingBut is working, but for one.
func (h *home) workingBut(not *activeCarrier) *activeCarrier {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range slices.Backward(h.carriers) {
		if l != not && l.Live() && !l.Dead() && !l.Doubted() {
			return l
		}
	}
	return nil
}

// hasPassedMore reports whether a carrier by the same front, which began later, has brought so much more
// than l that nothing freezes them there.
func (h *home) hasPassedMore(l *activeCarrier) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.carriers, func(o *activeCarrier) bool {
		return o.front == l.front && o.began.After(l.began) && isMore(o.total(), l.total())
	})
}

// activeOf finds what serves a carrier; nil if nothing here does.
func (h *home) activeOf(in *carrier.Carrier) *activeCarrier {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.IndexFunc(h.carriers, func(l *activeCarrier) bool { return l.Carrier == in }); i >= 0 {
		return h.carriers[i]
	}
	return nil
}

// retireAll marks the carriers of a home that was left: they end when they are unused.
func (h *home) retireAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.carriers {
		l.Retire()
	}
}

// seek reports whether the caller is the one to fetch h's tunnels, which found
// must follow.
func (h *home) seek() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := !h.sought
	h.sought = true
	return first
}

func (h *home) found() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sought = false
}
