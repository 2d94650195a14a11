// Package origin is the far end of the relay: it lets carriers in, unwraps
// their tunnels and dials WhatsApp. It knows the addresses; clients name
// services.
package origin

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"culvert/internal/relay"
	"culvert/internal/seal"
	"culvert/internal/whatsapp"
	"culvert/internal/wire"
)

// Origin serves carriers. Its methods may be called by many goroutines.
type Origin struct {
	cfg      Config
	gates    wire.GateKeys
	tickets  *wire.Tickets
	gateway  *gateway // nil: there is no gateway door
	seal     *seal.Server
	table    *relay.Table
	users    users
	dialling users
	rates    rates
	metrics  *metrics
	draining atomic.Bool
	refusing atomic.Bool // it takes no new tunnels any more
	pending  pending
	passing  chan struct{} // holds one for each carrier that another origin serves
	stop     context.CancelFunc
	ctx      context.Context
}

// rotating is for how long after a start others may not know the newest secret:
// a fleet is replaced one by one, and functions after it.
const rotating = 3 * time.Hour

// dialLimit bounds how long a client waits to hear that WhatsApp cannot be
// reached. The dialler's own limit is shorter.
const dialLimit = 15 * time.Second

// maxOpening bounds handshakes under way, 8 KiB of stack each.
const maxOpening = 4096

// New makes an Origin. Close releases what it holds.
func New(cfg Config) (*Origin, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.defaults()
	o := &Origin{
		cfg:     cfg,
		gates:   cfg.Gates,
		tickets: wire.NewTickets(cfg.Gates, time.Now().Add(rotating)),
		seal:    seal.NewServer(cfg.Master, time.Now, cfg.Older...),
		passing: make(chan struct{}, cfg.MaxCarriers),
	}
	o.ctx, o.stop = context.WithCancel(context.Background())
	o.table = relay.NewTable(relay.Events{Open: o.open, Ended: o.ended}, relay.NewBudget(cfg.Windows))
	o.table.Kept = relay.NewKept(cfg.kept())
	o.metrics = newMetrics(cfg.Metrics, o.table)
	if cfg.Gateway.URL != nil {
		o.gateway = newGateway(o, cfg)
		o.metrics.add(gauge("culvert_gateway_connections", "Connections of API Gateway now.", o.gateway.connections))
	}
	go o.table.Sweep(o.ctx)
	go o.endRevoked()
	return o, nil
}

// endRevoked ends the carriers of users who have been revoked since they came;
// their tunnels follow when nobody fetches them.
func (o *Origin) endRevoked() {
	tick := time.NewTicker(revokedEvery)
	defer tick.Stop()
	for {
		select {
		case <-o.ctx.Done():
			return
		case <-tick.C:
			for _, c := range o.table.AllCarriers() {
				if o.cfg.Revoked(c.User) {
					c.Close()
				}
			}
		}
	}
}

const revokedEvery = 10 * time.Second

// Wrap prepares the connections of a listener for carriers. TLS goes on top.
func (o *Origin) Wrap(l net.Listener) net.Listener { return relay.CorkListener{Listener: l} }

// open handles the first frame of a tunnel. Handshake and dial run in a
// goroutine that ends before the tunnel idles: its stack would be the largest
// part of what a tunnel costs.
func (o *Origin) open(c *relay.Carrier, id wire.TunnelID, payload []byte) error {
	if !o.pending.begin(id, c) {
		return nil
	}
	if !o.mayOpen(c.User) {
		o.refuse(o.pending.done(id), id, wire.Busy)
		return nil
	}
	msg := bytes.Clone(payload)
	go o.accept(c, id, msg)
	return nil
}

// mayOpen counts the tunnel if it is allowed.
func (o *Origin) mayOpen(user uint32) bool {
	return !o.refusing.Load() && o.pending.len() <= maxOpening && o.table.Tunnels() < o.cfg.MaxTunnels &&
		o.rates.allow(user, time.Now()) && o.users.opened(user, o.cfg.UserTunnels)
}

// refuse answers all who brought the Open frame.
func (o *Origin) refuse(by []*relay.Carrier, id wire.TunnelID, why wire.Reason) {
	o.metrics.refused(why)
	for _, c := range by {
		o.table.Refuse(c, id, why, time.Now().Unix())
	}
}

// reopened has the tunnel answer all who brought its Open frame again; false if
// there is none.
func (o *Origin) reopened(by []*relay.Carrier, id wire.TunnelID) (found bool) {
	for _, c := range by {
		found = o.table.Reopened(c, id)
	}
	return found
}

// accept does the handshake and brings the tunnel to its service.
func (o *Origin) accept(c *relay.Carrier, id wire.TunnelID, msg []byte) {
	opened, err := o.seal.Accept(id, c.User, msg)
	if err != nil || o.cfg.Revoked(c.User) {
		o.users.closed(c.User)
		by := o.pending.done(id)
		if errors.Is(err, seal.ErrReplay) && o.reopened(by, id) {
			return // it came again while the first was being accepted
		}
		o.refuse(by, id, refusal(err))
		return
	}
	t, ok := o.table.AcceptTunnel(c, relay.Opened{
		ID: id, Service: opened.Service, Early: opened.Early, Accept: opened.Accept, Keys: opened.Keys,
	})
	if by := o.pending.done(id); ok && len(by) > 1 {
		o.reopened(by, id)
	}
	if !ok {
		o.users.closed(c.User)
		return
	}
	o.metrics.opened(opened.Service.Kind)
	o.dial(t, c.User, opened.Service)
}

func refusal(err error) wire.Reason {
	switch {
	case errors.Is(err, seal.ErrClock):
		return wire.Clock
	case errors.Is(err, seal.ErrStale):
		return wire.Stale
	}
	return wire.Refused
}

// userDials bounds one user's dials under way: they may outlive their tunnels.
const userDials = 4096

func (o *Origin) dial(t *relay.Tunnel, user uint32, s wire.Service) {
	if !o.dialling.opened(user, userDials) {
		t.Reset(wire.Busy)
		return
	}
	defer o.dialling.closed(user)
	ctx, cancel := context.WithTimeout(o.ctx, dialLimit)
	defer cancel()
	stream, err := o.cfg.Dial(ctx, s)
	if err != nil {
		t.Reset(reason(err))
		return
	}
	t.Join(stream)
}

func reason(err error) wire.Reason {
	if errors.Is(err, whatsapp.ErrNotAllowed) {
		return wire.NotAllowed
	}
	return wire.Unreachable
}

func (o *Origin) ended(t relay.End) {
	o.users.closed(t.User)
	o.metrics.ended(t)
	o.cfg.Log.Info("tunnel ended", "tunnel", t)
}

// refuseAfter is when a draining origin refuses new tunnels: by then clients
// have heard that there is another.
const refuseAfter = 3 * time.Second

// lastWords is how long the last acks may take to go out.
const lastWords = 300 * time.Millisecond

// Drain tells clients to open new tunnels elsewhere, refuses new ones soon, and
// waits until those it holds have ended or ctx has. Then it closes.
func (o *Origin) Drain(ctx context.Context) error {
	o.draining.Store(true)
	defer time.AfterFunc(refuseAfter, func() { o.refusing.Store(true) }).Stop()
	for _, c := range o.table.AllCarriers() {
		c.Leave()
	}
	defer o.Close()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for last := time.Now(); time.Since(last) < lastWords; {
		select {
		case <-ctx.Done():
			return o.cut(ctx)
		case <-tick.C:
		}
		if o.table.Tunnels() > 0 {
			last = time.Now()
		}
	}
	return nil
}

// cut is ctx's error if there is something to cut.
func (o *Origin) cut(ctx context.Context) error {
	if o.table.Tunnels() > 0 {
		return ctx.Err()
	}
	return nil
}

// Draining reports whether Drain was called.
func (o *Origin) Draining() bool { return o.draining.Load() }

// Close resets all tunnels and ends all carriers.
func (o *Origin) Close() error {
	o.stop()
	o.table.Close()
	if o.gateway != nil {
		o.gateway.close()
	}
	return nil
}
