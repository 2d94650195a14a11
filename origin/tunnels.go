package origin

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/seal"
	"culvert/internal/tasks"
	"culvert/internal/tunnel"
	"culvert/internal/whatsapp"
	"culvert/internal/wire"
)

// acceptor is the far end of tunnels: it does their handshakes and dials what they
// lead to. Its methods may be called by many goroutines.
type acceptor struct {
	seal     *seal.Server
	table    *tunnel.Table
	dial     func(context.Context, wire.Service) (net.Conn, error)
	revoked  func(user uint32) bool
	most     int // tunnels of all users
	mostEach int // tunnels of one user
	metrics  *metrics
	log      *slog.Logger
	ctx      context.Context // ends the dials
	tasks    *tasks.Group    // they run the handshakes and the dials

	tunnels  userCounts
	dials    userCounts // a user's, which may outlive the tunnels
	rates    rates
	pending  pending
	refusing atomic.Bool // no new tunnel is accepted any more
}

// dialLimit bounds how long a client waits to hear that WhatsApp cannot be
// reached. The dialler's own limit is shorter.
const dialLimit = 15 * time.Second

// maxOpening bounds the handshakes under way, each of which has 8 KiB of stack.
const maxOpening = 4096

// userDials bounds one user's dials under way.
const userDials = 4096

// open handles the first frame of a tunnel. Handshake and dial run in a
// goroutine that ends before the tunnel idles: its stack would be the largest
// part of what a tunnel costs.
func (a *acceptor) open(c *carrier.Carrier, id wire.TunnelID, payload []byte) error {
	if !a.pending.begin(id, c) {
		return nil
	}
	if !a.mayOpen(c.User) {
		a.refuse(a.pending.end(id), id, wire.Busy)
		return nil
	}
	msg := bytes.Clone(payload)
	a.tasks.Go(func() { a.accept(c, id, msg) })
	return nil
}

// mayOpen counts the tunnel if it is allowed.
func (a *acceptor) mayOpen(user uint32) bool {
	return !a.refusing.Load() && a.pending.len() <= maxOpening && a.table.Tunnels() < a.most &&
		a.rates.allow(user, time.Now()) && a.tunnels.add(user, a.mostEach)
}

// refuse answers all who brought the Open frame.
func (a *acceptor) refuse(by []*carrier.Carrier, id wire.TunnelID, why wire.Reason) {
	a.metrics.refused(why)
	for _, c := range by {
		a.table.Refuse(c, id, why, time.Now().Unix())
	}
}

// reopened has the tunnel answer all who brought its Open frame again; it returns
// false if there is no such tunnel.
func (a *acceptor) reopened(by []*carrier.Carrier, id wire.TunnelID) (found bool) {
	for _, c := range by {
		found = a.table.Reopened(c, id)
	}
	return found
}

// accept does the handshake and brings the tunnel to its service. It refuses users
// who were revoked after their carrier had come, before the handshake's memory
// against replays learns of theirs.
func (a *acceptor) accept(c *carrier.Carrier, id wire.TunnelID, msg []byte) {
	var opened seal.Opened
	err := errRevoked
	if !a.revoked(c.User) {
		opened, err = a.seal.Accept(id, c.User, msg)
	}
	if err != nil {
		a.tunnels.remove(c.User)
		by := a.pending.end(id)
		if errors.Is(err, seal.ErrReplay) && a.reopened(by, id) {
			return // the frame came again while the first one was being accepted
		}
		a.refuse(by, id, refusal(err))
		return
	}
	t, ok := a.table.AcceptTunnel(c, tunnel.Opened{
		ID: id, Service: opened.Service, Early: opened.Early, Accept: opened.Accept, Keys: opened.Keys,
	})
	if by := a.pending.end(id); ok && len(by) > 1 {
		a.reopened(by, id)
	}
	if !ok {
		a.tunnels.remove(c.User)
		return
	}
	a.metrics.opens.WithLabelValues(label(opened.Service.Kind.String())).Inc()
	a.connect(t, c.User, opened.Service)
}

var errRevoked = errors.New("the user's links are void")

func refusal(err error) wire.Reason {
	switch {
	case errors.Is(err, seal.ErrClock):
		return wire.Clock
	case errors.Is(err, seal.ErrStale):
		return wire.Stale
	}
	return wire.Refused
}

// connect dials the service of a tunnel and joins the two.
func (a *acceptor) connect(t *tunnel.Tunnel, user uint32, s wire.Service) {
	if !a.dials.add(user, userDials) {
		t.Reset(wire.Busy)
		return
	}
	defer a.dials.remove(user)
	ctx, cancel := context.WithTimeout(a.ctx, dialLimit)
	defer cancel()
	stream, err := a.dial(ctx, s)
	switch {
	case errors.Is(err, whatsapp.ErrNotAllowed):
		t.Reset(wire.NotAllowed)
	case err != nil:
		t.Reset(wire.Unreachable)
	default:
		t.Join(stream)
	}
}

// ended is told of each tunnel that was accepted and has ended.
func (a *acceptor) ended(e tunnel.End) {
	a.tunnels.remove(e.User)
	a.metrics.ended(e)
	a.log.Info("tunnel ended", "tunnel", e)
}

// pending are the tunnels whose handshake is under way, and the carriers that
// brought their Open frame, in this order: if the first one dies meanwhile, the
// client sends the frame again, and that is no replay. The last one may be one that
// the client has left, so each hears what came of it.
type pending struct {
	mu sync.Mutex
	by map[wire.TunnelID][]*carrier.Carrier
}

// maxBrought bounds the carriers of one tunnel; the latest are remembered.
const maxBrought = 8

// begin starts a handshake for id. If one is under way, it notes c and returns
// false.
func (p *pending) begin(id wire.TunnelID, c *carrier.Carrier) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if before := p.by[id]; len(before) > 0 {
		if before[0].User == c.User && !slices.Contains(before, c) {
			p.by[id] = append(before[max(0, len(before)-maxBrought+1):], c)
		}
		return false
	}
	if p.by == nil {
		p.by = map[wire.TunnelID][]*carrier.Carrier{}
	}
	p.by[id] = []*carrier.Carrier{c}
	return true
}

// end ends the handshake for id and says who brought its Open frame.
func (p *pending) end(id wire.TunnelID) []*carrier.Carrier {
	p.mu.Lock()
	defer p.mu.Unlock()
	by := p.by[id]
	delete(p.by, id)
	return by
}

func (p *pending) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.by)
}
