package tunnel

import (
	"time"

	"culvert/internal/carrier"
)

// Move has the tunnels of one carrier of the client, but those that stay, go on by another. Both
// live: nothing is sent again.
func (s *Session) Move(from, to *carrier.Carrier, stays func(*Tunnel) bool) {
	for _, t := range s.All() {
		if t.Carrier() == from && !stays(t) {
			t.Attach(to, false)
		}
	}
}

// Part ends a carrier of the client by which nothing goes any more, and by which all has
// come that was on its way: its end is no loss to a tunnel that has moved.
func (s *Session) Part(c *carrier.Carrier) {
	for _, t := range s.All() {
		t.part(c)
	}
	c.Close()
}

// Leave has the tunnels that go by others, too, go no more by a carrier of the client whose budget
// is spent. Part ends it once all has come.
func (s *Session) Leave(c *carrier.Carrier) {
	for _, t := range s.All() {
		t.leave(c)
	}
}

// Shift has the tunnels that go by one carrier of the client, but those that stay, go on by another, and
// what that took and was not acked go again, both ways: it may be dead. What it brings yet counts all
// the same.
func (s *Session) Shift(from, to *carrier.Carrier, stays func(*Tunnel) bool) {
	for _, t := range s.All() {
		if t.Carrier() == from && !stays(t) {
			t.Attach(to, true)
		}
		t.suspect(from)
	}
}

// Replace has the tunnel go by to, a carrier of the client, beside those of its carriers that are not in doubt,
// and no more by those that are: what they took and was not acked goes again, both ways.
func (t *Tunnel) Replace(to *carrier.Carrier) {
	t.Add(to)
	for _, c := range t.sendsInDoubt() {
		if c != to {
			t.suspect(c)
		}
	}
}

// regainAfter is how long after a carrier's death the tunnel's others are named again: by then the origin has heard
// that one of them takes alone what several did.
const regainAfter = time.Second

// Regain has the tunnel go by c again, a carrier of the client, if it did until another died.
func (t *Tunnel) Regain(c *carrier.Carrier) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, cur := t.pathOf(c), t.current()
	if t.isOver() || p == nil || p.lost == 0 || cur == nil || cur.use || time.Now().UnixNano()-p.lost < int64(regainAfter) {
		return
	}
	if p := t.sendBy(c, false); p != nil {
		p.use, p.known = true, t.deaths
	}
	t.ready(nil)
}

// Flee is Shift for one tunnel of the client, from the carrier that it has.
func (t *Tunnel) Flee(to *carrier.Carrier) {
	if from := t.Carrier(); from != nil && from != to {
		t.Attach(to, true)
		t.suspect(from)
	}
}
