// Package client is the near end of the relay: it takes the app's connections,
// reaches an edge by one of the link's fronts, and keeps tunnels alive while
// carriers come and go beneath them.
package client

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"time"

	"culvert/client/front"
	"culvert/internal/link"
	"culvert/internal/relay"
	"culvert/internal/seal"
	"culvert/internal/tasks"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// Config is what a Client works with. All but Link may be zero.
type Config struct {
	Link    *link.Link
	Dialer  *front.Dialer    // copied; nil: one with the system's roots
	Log     *slog.Logger     // nil: none
	Ended   func(relay.End)  // told of every tunnel that ends; must not block
	Windows int64            // bytes that windows may grow by in all; 0: 128 MiB
	Now     func() time.Time // nil: time.Now
}

// Client carries streams to the origin of a link. Its methods may be called by
// many goroutines.
type Client struct {
	cfg    Config
	seal   *seal.Client
	table  *relay.Table
	pool   *pool
	clock  clock
	health frontHealth
	tasks  *tasks.Group // all goroutines

	running context.Context // of tasks; ends with Run
	stop    context.CancelFunc

	// reach opens a socket to an origin by one of the fronts that may be taken:
	// dialSocket, but in tests.
	reach func(context.Context, *originRef, func(link.Front) bool) (transport.Transport, int, error)
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
	if cfg.Dialer == nil {
		cfg.Dialer = &front.Dialer{}
	}
	cfg.Dialer = prepared(cfg.Dialer)
	c := &Client{cfg: cfg, seal: seal.NewClient(cfg.Link.Keys, cfg.Now)}
	c.clock = clock{now: cfg.Now, tell: c.seal.SetOffset}
	c.health.fronts = len(cfg.Link.Fronts)
	c.pool, c.tasks, c.reach = newPool(), tasks.NewGroup(), c.dialSocket
	c.table = relay.NewTable(relay.Events{Ended: c.ended, Bulk: c.promote, Leaving: c.pool.onDrain}, relay.NewBudget(cfg.Windows))
	c.running, c.stop = context.WithCancel(context.Background())
	return c, nil
}

// Run keeps a carrier to the origin until ctx ends, then resets what is left. No
// goroutine of the client is left when it returns, always nil. It is called once.
func (c *Client) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, c.stop)()
	c.tasks.Go(func() { c.table.Sweep(ctx) })
	c.tasks.Go(func() { c.keepAlive(ctx) })
	c.keepMain(ctx)
	c.stop()
	if c.table.Abandon() > 0 {
		time.Sleep(lastWords)
	}
	c.table.Close()
	c.tasks.Wait()
	return nil
}

// lastWords is how long carriers may take to say that all tunnels are given up.
// An origin that does not hear of it holds them, and WhatsApp's connections, for
// minutes.
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
// were read from it already. It returns at once.
func (c *Client) Carry(stream net.Conn, s wire.Service, first []byte) {
	start, err := c.start(newID(), s, first)
	if err != nil {
		relay.Abort(stream)
		return
	}
	if t, ok := c.table.StartTunnel(start, stream); ok {
		c.place(t)
	}
}

// Dial opens a connection to s through the relay. It returns at once: whether
// s answers shows when reading.
func (c *Client) Dial(s wire.Service) net.Conn {
	near, far := net.Pipe()
	c.Carry(far, s, nil)
	return near
}

func (c *Client) start(id wire.TunnelID, s wire.Service, first []byte) (relay.Start, error) {
	return c.startBy(c.seal.Open, id, s, first)
}

// opener is seal.Client's Open or OpenAnew.
type opener func(wire.TunnelID, wire.Service, []byte) ([]byte, *seal.Pending, error)

func (c *Client) startBy(open opener, id wire.TunnelID, s wire.Service, first []byte) (relay.Start, error) {
	payload, pending, err := open(id, s, first)
	if err != nil {
		return relay.Start{}, err
	}
	return relay.Start{
		ID: id, Service: s, Payload: payload, Early: len(first),
		Finish: func(accept []byte) (relay.Keys, error) { return finish(pending, accept) },
		Again: func(why wire.Reason, there time.Time) (relay.Start, error) {
			pending.Void()
			if why == wire.Clock {
				c.clock.set(there)
			}
			return c.startBy(c.seal.OpenAnew, id, s, first)
		},
	}, nil
}

func finish(p *seal.Pending, accept []byte) (relay.Keys, error) {
	k, err := p.Finish(accept)
	if err != nil {
		return nil, err
	}
	return k, nil
}

func newID() wire.TunnelID {
	var b [8]byte
	for {
		rand.Read(b[:])
		if id := wire.TunnelID(binary.BigEndian.Uint64(b[:])); id != 0 {
			return id
		}
	}
}

// ErrUnreachable means that no front led to the origin.
var ErrUnreachable = errors.New("no front of the link leads to the origin")

// WaitReady waits until there is a carrier, or tells why there is none when
// ctx ends.
func (c *Client) WaitReady(ctx context.Context) error {
	for {
		now := c.pool.view()
		if now.state != connecting {
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
	Connected bool
	Front     int           // index of the front in use
	RTT       time.Duration // 0: not measured
	Carriers  int
	Tunnels   int
	LastError error  // why the last dial failed, if it did
	Sent      uint64 // bytes of the app's connections so far, towards WhatsApp
	Received  uint64 // and back
}

// Status says how things are now.
func (c *Client) Status() Status {
	now := c.pool.view()
	sent, received := c.table.Moved()
	s := Status{Sent: sent, Received: received, Carriers: c.table.Carriers(), Tunnels: c.table.Tunnels(), LastError: now.err, Front: c.health.first()}
	if now.main != nil && !now.main.Dead() {
		s.Connected, s.RTT = true, now.main.RTT()
	}
	return s
}

func (c *Client) ended(e relay.End) {
	c.cfg.Log.Debug("tunnel ended", "tunnel", e)
	if c.cfg.Ended != nil {
		c.cfg.Ended(e)
	}
}
