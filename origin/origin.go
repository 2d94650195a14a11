// Package origin is the far end of the relay: it lets carriers in by two doors,
// unwraps their tunnels and dials WhatsApp. It knows the addresses; clients name
// services.
package origin

import (
	"context"
	"net"
	"net/http"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/dial"
	"culvert/internal/handover"
	"culvert/internal/share"
	"culvert/internal/tasks"
	"culvert/internal/transport"
	"culvert/internal/tunnel"
	"culvert/internal/wire"
)

// Origin serves carriers. It is an http.Handler, and puts together the parts that do
// the work: the doors, the acceptor of tunnels, and the fleet that the origin belongs
// to. Its methods may be called by many goroutines. Whoever makes one closes it.
type Origin struct {
	table     *tunnel.Table
	admission *admission
	acceptor  *acceptor
	fleet     *fleet
	stream    *streamDoor
	gateway   *gatewayDoor // nil: there is no gateway door
	pressure  *pressure

	ctx   context.Context // ends when the origin is to end
	stop  context.CancelFunc
	tasks *tasks.Group // all goroutines of the origin
}

// mostWarm is how many goroutines that have dialled are kept for what is dialled next.
const mostWarm = 8

// New makes an Origin, or says what is wrong with cfg. Close releases what it holds.
func New(cfg Config) (*Origin, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.defaults()
	o := &Origin{tasks: tasks.NewGroup()}
	o.tasks.KeepWarm(mostWarm)
	o.ctx, o.stop = context.WithCancel(context.Background())
	o.acceptor, o.admission = newAcceptor(o.ctx, cfg, o.tasks), newAdmission(cfg)
	o.table = tunnel.NewTable(tunnel.Events{
		Open: o.acceptor.open, Ended: o.acceptor.ended, Proved: o.proved,
	}, tunnel.NewWindows(cfg.Windows), false)
	o.table.KeepWarm()
	shares := &o.table.Shares
	shares.Memory = share.NewBound[uint32](cfg.kept())
	shares.Tunnels = share.NewBound[uint32](int64(cfg.MaxTunnels))
	shares.Carriers = share.NewBound[uint32](int64(cfg.MaxCarriers))
	metrics := newMetrics(cfg.Metrics, o.table, o.admission.sessions.Sessions)
	o.acceptor.table, o.acceptor.metrics = o.table, metrics
	o.admission.table, o.admission.metrics = o.table, metrics
	o.fleet = &fleet{
		self: cfg.Advertise, tickets: wire.NewTickets(cfg.Gates), posts: handover.Over(cfg.Reach), reach: cfg.Reach,
		passing: make(chan struct{}, cfg.MaxCarriers), metrics: metrics, ctx: o.ctx, tasks: o.tasks,
	}
	o.stream = &streamDoor{admission: o.admission, fleet: o.fleet, site: cfg.Site, metrics: metrics}
	if cfg.Gateway.URL != nil {
		o.gateway = o.newGatewayDoor(cfg, metrics)
	}
	o.pressure = newPressure(o, metrics, cfg.Log)
	o.tasks.Go(func() { o.table.Sweep(o.ctx) })
	o.tasks.Go(o.sweep)
	return o, nil
}

// proved charges a carrier, and what it has begun, to its user.
func (o *Origin) proved(c *carrier.Carrier) {
	if o.admission.proved(c) {
		o.acceptor.early.proved(c)
	}
}

// sweep forgets what is over, now and then.
func (o *Origin) sweep() {
	for dial.Sleep(o.ctx, sweepEvery) {
		o.admission.sweep(time.Now())
		o.acceptor.early.sweep()
		o.pressure.tell(time.Now())
	}
}

const sweepEvery = 10 * time.Second

func (o *Origin) newGatewayDoor(cfg Config, metrics *metrics) *gatewayDoor {
	g := &gatewayDoor{
		admission: o.admission, fleet: o.fleet, checker: wire.NewChecker(cfg.Gates), metrics: metrics, tasks: o.tasks,
		poster: newPoster(cfg.Gateway, metrics, cfg.Log, share.NewBound[uint32](cfg.Windows/waitingPart)),
		coming: share.NewStrangers(cfg.readings() / 2),
		taking: newTaking(int64(cfg.readings()/4) * wire.MaxHanded),
		conns:  map[string]*connection{},
	}
	metrics.gauge("culvert_gateway_connections", "Connections of API Gateway now.", g.connections)
	return g
}

// ServeHTTP is the gateway door for what functions hand on, and for all else the
// stream door, which shows the site to strangers.
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if o.gateway != nil && o.gateway.serve(w, r) {
		return
	}
	o.stream.ServeHTTP(w, r)
}

// Wrap prepares the connections of a listener for carriers. TLS goes on top.
func (o *Origin) Wrap(l net.Listener) net.Listener { return transport.CorkListener{Listener: l} }

// refuseAfter is when a draining origin refuses new tunnels: by then clients
// have heard that there is another, and what they had begun before has come,
// also where a full queue of 3 s is in the way of either.
const refuseAfter = 10 * time.Second

// lastWords is how long the last acks may take to go out, cutWords what tells clients of tunnels that
// are cut: many at once, and at the gateway door a post each.
const (
	lastWords = 300 * time.Millisecond
	cutWords  = time.Second
)

// Drain tells clients to open new tunnels elsewhere, refuses new ones soon, and
// waits until those it holds have ended or ctx has. Then it closes. The error is
// ctx's if tunnels were cut; their clients are told, so that apps connect again at once and nobody seeks
// an origin that is gone.
func (o *Origin) Drain(ctx context.Context) error {
	o.admission.drain()
	defer time.AfterFunc(refuseAfter, func() { o.acceptor.refusing.Store(true) }).Stop()
	defer o.Close()
	for last := time.Now(); time.Since(last) < lastWords; {
		goesOn := dial.Sleep(ctx, 100*time.Millisecond)
		switch {
		case o.table.Tunnels() == 0 && !goesOn:
			return nil
		case !goesOn:
			o.table.Abandon()
			dial.Sleep(o.ctx, cutWords)
			return ctx.Err()
		case o.table.Tunnels() > 0:
			last = time.Now()
		}
	}
	return nil
}

// Close resets all tunnels, ends all carriers and waits until every goroutine of the
// origin has ended, dials and posts among them. It may be called more than once.
func (o *Origin) Close() error {
	if o.gateway != nil {
		o.gateway.refuse() // before carriers end: their clients come back at once
	}
	o.stop()
	o.table.Close()
	o.tasks.Wait()
	if o.gateway != nil {
		o.gateway.poster.api.http.CloseIdleConnections()
	}
	o.fleet.posts.Close()
	return nil
}
