// Package client is the near end of the relay: it carries an app's connections
// to the origin of a link, and keeps their tunnels alive while carriers come and
// go beneath them.
//
// A program makes one Client of a parsed link, lets Run work in a goroutine of
// its own until its context ends, and hands over connections by Carry, or opens
// some by Dial, at any time:
//
//	l, err := client.ParseLink(text)
//	c, err := client.New(client.Config{Link: l})
//	go c.Run(ctx)
//	apps := listener.Listener{Carry: c.Carry}
//	err = apps.Serve(ctx, ln)
//
// Package listener takes the connections of WhatsApp's app and finds out which
// service each wants; package front reaches the edges that a link names. WaitReady,
// Status and Probe say how things are; their errors are for a person to read, and
// name no host and no address.
//
// Inside, pool.go has the states of the main carrier, where all tunnels begin, and
// the loop that keeps one; bulk.go the carriers beside it for tunnels that move
// much; carriers.go makes carriers, renews them, and finds tunnels another when one
// dies; home.go is an origin with its session; fronthealth.go remembers how each
// front did, budget.go what carriers by it may bring, and learned.go keeps that for each
// network; redial.go holds back dials by fronts that fail, doubt.go finds what falls silent
// a successor; ways.go says what carries and why carriers ended, echo.go examines the main
// one; fronts.go has the fronts and their order, later.go the lists that add some; socket.go is the way from a front to a socket, visits.go
// asks for its page before, frontclock.go the time in its token.
// A frame's way goes from the app's connection through a tunnel of the table to its
// carrier, none of which is done here.
package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"culvert/client/front"
	"culvert/internal/carrier"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/share"
	"culvert/internal/tasks"
	"culvert/internal/tunnel"
	"culvert/internal/wire"
)

// Names for what other modules cannot import.
type (
	Link  = link.Link     // what a user was handed; see ParseLink
	End   = tunnel.End    // what is known of a tunnel that ended
	Cause = carrier.Cause // why a carrier ended
)

// ParseLink reads a link. Its errors are for the user: they say what to try next,
// and quote nothing of the link.
func ParseLink(text string) (*Link, error) { return link.Find(text) }

// Config is what a Client works with. All but Link may be zero. Neither the link
// nor the functions may be changed while the Client works.
type Config struct {
	Link    *Link
	Dialer  *front.Dialer    // reaches the fronts; New copies its settings; nil: one with the system's roots
	Log     *slog.Logger     // has no payloads, addresses or tokens; nil: none
	Ended   func(End)        // told of every tunnel that ends; must not block
	Windows int64            // bytes that windows may grow by in all; 0: 128 MiB
	Now     func() time.Time // the machine's wall clock; nil: time.Now

	// Guests bounds the connections that come from other machines; 0: 1,024. When they are scarce
	// those end first that have had no answer.
	Guests int

	// Keep is a directory for what is learned of networks; empty: it is forgotten with the Client.
	Keep string

	// Confine says at which addresses the link's fronts may be; nil: at any.
	Confine func(netip.Addr) bool

	// LinkAlone has the Client use the link's fronts alone: it asks no origin for a list of others, and
	// takes none that was kept.
	LinkAlone bool

	// Visit has the client ask for a front's page before its first socket there, as a browser would, and again now
	// and then while it is used.
	Visit bool

	// DialRate is how many connections a second bulk may begin where each brings little; 0: one.
	DialRate float64
}

// Client carries streams to the origin of a link. New makes one, Run works until
// its context ends, and then the Client is of no further use. All other methods
// may be called by many goroutines, before, during and after Run: a connection
// that is handed over without a carrier waits for one, and is reset if none comes.
type Client struct {
	cfg     Config
	pair    *seal.Pair
	table   *tunnel.Table
	ends    ends
	pool    *pool
	fronts  *fronts
	later   later
	health  frontHealth
	budgets budgets
	redials redials
	spread  *spread
	places  places
	learned learned
	visits  visits

	cutAtRest atomic.Bool  // the carrier that ended last was, and others by its front are, too
	tasks     *tasks.Group // has all goroutines of the client

	running context.Context // is that of tasks; ends with Run
	stop    context.CancelFunc

	// reach opens a socket to an origin by one of the fronts that may be taken. It
	// is dialSocket, but in tests.
	reach func(context.Context, wanted) (*socket, int, error)
}

// New makes a Client. It reaches for nothing until Run.
func New(cfg Config) (*Client, error) {
	if cfg.Link == nil || len(cfg.Link.Fronts) == 0 {
		return nil, errors.New("client: the link has no front")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Windows == 0 {
		cfg.Windows = 128 << 20
	}
	if cfg.DialRate <= 0 {
		cfg.DialRate = 1
	}
	if cfg.Dialer == nil {
		cfg.Dialer = &front.Dialer{}
	}
	pair, err := seal.NewClientPair(cfg.Link.Keys)
	if err != nil {
		return nil, fmt.Errorf("client: the link's keys: %w", err)
	}
	c := &Client{pair: pair, fronts: newFronts(cfg.Link, cfg.Now), places: places{room: make(chan struct{}, 1)}}
	cfg.Dialer = c.prepared(cfg.Dialer)
	cfg.Dialer.LookKey = front.LookKey(cfg.Link)
	c.cfg = cfg
	c.spread, c.health.after = newSpread(), c.fronts.after
	c.pool, c.tasks, c.reach = newPool(), tasks.NewGroup(), c.dialSocket
	c.table = tunnel.NewTable(tunnel.Events{
		Ended: c.ended, Bulk: c.promote, Draining: c.pool.onDrain, Doubted: c.onDoubted, Spending: c.onSpending, Expired: c.expired,
	}, tunnel.NewWindows(cfg.Windows), true)
	c.table.Guests = share.NewGuests(cmp.Or(cfg.Guests, 1024))
	c.pool.move(nil, newHome(c.table, pair))
	if cfg.Confine != nil {
		for _, f := range cfg.Link.Fronts {
			cfg.Dialer.Confine(f, cfg.Confine)
		}
	}
	c.fronts.confine = c.confine
	c.openLater(pair)
	c.health.prefer(c.fronts.inOrder()[0])
	c.openLearned(pair)
	c.running, c.stop = context.WithCancel(context.Background())
	return c, nil
}

// Run keeps a carrier to the origin until ctx ends, then resets what is left. No
// goroutine of the client is left when it returns, always nil. It is called once.
func (c *Client) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, c.stop)()
	c.table.KeepWarm()
	c.tasks.Go(func() { c.table.Sweep(ctx) })
	c.tasks.Go(func() { c.keepAlive(ctx) })
	c.keepMain(ctx)
	c.stop()
	c.keepLearned()
	c.keepLater()
	c.table.Abandon()
	if c.table.Carriers.Len() > 0 {
		time.Sleep(lastWords)
	}
	c.table.Close()
	c.tasks.Wait()
	return nil
}

// lastWords is how long carriers may take to say how all tunnels ended, also those
// that ended in order just before. An origin that does not hear of it holds them, and
// WhatsApp's connections, for minutes.
const lastWords = 100 * time.Millisecond

// task runs f in a goroutine that Run waits for, unless the client is ending.
func (c *Client) task(f func()) {
	c.tasks.Go(func() {
		if c.running.Err() == nil {
			f()
		}
	})
}

// Carry sends stream, which it owns from here on, to s; first are bytes that
// were read from it already, at most wire.MaxEarly, and belong to it, too. It
// returns at once. A stream that cannot be carried is reset.
func (c *Client) Carry(stream net.Conn, s wire.Service, first []byte) {
	if t, ok := c.table.StartTunnel(s, first, stream); ok {
		c.place(t)
	}
}

// Dial opens a connection to s through the relay. It returns at once: whether
// s answers shows when the caller reads. The caller closes the connection.
func (c *Client) Dial(s wire.Service) net.Conn {
	near, far := net.Pipe()
	c.Carry(far, s, nil)
	return near
}

// ErrUnreachable means that no front led to the origin. The Client goes on trying.
var ErrUnreachable = errors.New("no front of the link leads to the origin")

// WaitReady waits until there is a carrier, or tells why there is none when
// ctx ends: ErrUnreachable, joined with what the last dial failed of.
func (c *Client) WaitReady(ctx context.Context) error {
	for {
		now := c.pool.view()
		if now.state != connecting && now.state != resting {
			return nil
		}
		select {
		case <-now.changed:
		case <-ctx.Done():
			if now.err == nil {
				now.err = context.Cause(ctx)
			}
			return errors.Join(ErrUnreachable, now.err)
		}
	}
}

// Status is what a person wants to see.
type Status struct {
	Connected bool          // there is a main carrier, and it lives, or Resting
	Resting   bool          // there is none, as nobody uses the client, and the network would cut it
	Front     int           // number, from 0, of the front in use, or of the next to be tried: the link's come first
	RTT       time.Duration // the shortest round trip to the origin; 0: not measured
	Carriers  int           // sockets to the origin
	Tunnels   int           // connections of the app
	LastError error         // why the last dial failed, if it did
	Sent      uint64        // bytes of the app's connections so far, towards WhatsApp
	Received  uint64        // and back
	Ways      []Way         // what carries, in the order of the link's fronts
	Ends      map[Cause]int // how many carriers have ended, by why
	LastEnd   LastEnd       // of the carrier that ended last
	Later     int           // how many fronts may be used that came later, by a list
	List      uint32        // version of that list; 0: there is none
}

// Status says how things are now.
func (c *Client) Status() Status {
	now := c.pool.view()
	sent, received := c.table.Moved()
	s := Status{Sent: sent, Received: received, Carriers: c.table.Carriers.Len(), Tunnels: c.table.Tunnels(), LastError: now.err, Front: c.health.first()}
	if now.main != nil && !now.main.Dead() {
		s.Connected, s.RTT = true, now.main.RTT()
	}
	if now.state == resting {
		s.Connected, s.Resting = true, true
	}
	s.Ways = c.ways()
	s.Later, s.List = c.fronts.later()
	s.Ends, s.LastEnd = c.ends.read()
	return s
}

func (c *Client) expired(*tunnel.Session) {
	c.cfg.Log.Debug("the origin has forgotten the session, and reset its tunnels")
}

func (c *Client) ended(e tunnel.End) {
	c.cfg.Log.Debug("tunnel ended", "tunnel", e)
	if c.cfg.Ended != nil {
		c.cfg.Ended(e)
	}
}
