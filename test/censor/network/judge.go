package network

import (
	"net/netip"
	"slices"
	"time"
)

// minute is the time in which Connect counts.
const minute = time.Minute

// judge is the flow that a packet belongs to, or nil if it may not pass. The
// caller holds n.mu.
func (n *Network) judge(p packet, d direction, now time.Time) *flow {
	server := p.to
	k := key{p.from, p.to}
	if d == down {
		server, k = p.from, key{p.to, p.from}
	}
	f := n.flows[k]
	if f == nil || d == up && p.has(syn) && f.hello.began {
		if d == down || !p.has(syn) {
			return nil // of a connection that is over, or that nobody began
		}
		f = n.begin(k, now)
	}
	if slices.Contains(n.rules.Dead, server.Addr()) {
		f.close(p, d, now)
		return nil
	}
	if d == up && p.has(syn) && !n.admit(f, server.Addr(), now) || !n.passes(f, p, d, now) {
		return nil
	}
	return f
}

func (n *Network) begin(k key, now time.Time) *flow {
	f := &flow{Flow: Flow{Client: k.client, Server: k.server, Began: now}, heard: now}
	n.flows[k] = f
	n.all = append(n.all, f)
	return f
}

// admit counts a new connection, unless there are too many; that it asks again
// for one that was let in does not count.
func (n *Network) admit(f *flow, server netip.Addr, now time.Time) bool {
	if f.admitted {
		return true
	}
	recent := slices.DeleteFunc(n.admitted[server], func(t time.Time) bool { return now.Sub(t) > minute })
	n.admitted[server] = recent
	for _, r := range n.rules.Connect {
		if concerns(r.Address, server) && len(recent) >= r.PerMinute {
			f.Fate = Refused
			return false
		}
	}
	f.Fate, f.admitted = Passed, true
	n.admitted[server] = append(recent, now)
	return true
}

// passes applies the rules for single connections.
func (n *Network) passes(f *flow, p packet, d direction, now time.Time) bool {
	switch f.Fate {
	case Frozen, Dropped, Lapsed:
		f.close(p, d, now)
		return false
	case Reset:
		n.answer(f, p, d)
		return false
	}
	if n.rules.Forget > 0 && now.Sub(f.heard) > n.rules.Forget {
		f.Fate = Lapsed
		return false
	}
	if d == up {
		return !f.read(p) || n.passesHello(f)
	}
	return n.passesAnswer(f, p)
}

// close notes that the client has given up, even where nobody else hears it.
func (f *flow) close(p packet, d direction, now time.Time) {
	if d == up && (p.has(fin) || p.has(rst)) && f.Closed.IsZero() {
		f.Closed = now
	}
}

func (n *Network) passesHello(f *flow) bool {
	for _, r := range n.rules.Hello {
		if !concerns(r.Address, f.Server.Addr()) || r.Name != "" && r.Name != f.Name || f.HelloSize <= r.Longer {
			continue
		}
		f.Fate = Dropped
		if r.Reset {
			n.reset(f)
		}
		return false
	}
	return true
}

// passesAnswer judges what comes from the server.
func (n *Network) passesAnswer(f *flow, p packet) bool {
	for _, r := range n.rules.Freeze {
		if concerns(r.Address, f.Server.Addr()) && f.Down.Payload+int64(len(p.payload)) > r.Bytes {
			f.Fate = Frozen
			return false
		}
	}
	if f.asked < request || f.upgraded || len(p.payload) == 0 {
		return true
	}
	for _, r := range n.rules.Upgrade {
		if concerns(r.Address, f.Server.Addr()) {
			f.upgraded = true
			time.AfterFunc(r.After, func() { n.resetLater(f) })
		}
	}
	return true
}

func (n *Network) resetLater(f *flow) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f.Fate == Passed && f.Closed.IsZero() {
		n.reset(f)
	}
}

// reset ends a connection at both ends, behind what has passed.
func (n *Network) reset(f *flow) {
	now := time.Now()
	f.Fate, f.Closed = Reset, now
	n.inject(down, reset(f.Server, f.Client, f.next[down], f.next[up]), now)
	n.inject(up, reset(f.Client, f.Server, f.next[up], f.next[down]), now)
}

// answer resets whoever has not heard that the connection is over.
func (n *Network) answer(f *flow, p packet, d direction) {
	if !p.has(rst) && p.has(ack) {
		n.inject(1-d, reset(p.to, p.from, p.ack, p.after()), time.Now())
	}
}
