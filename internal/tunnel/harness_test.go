package tunnel

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/seal"
	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// Net is two ends in one process: a client's table and an origin's, and
// sockets between them that behave as told.
type Net struct {
	t         testing.TB
	near, far *Table
	master    seal.Master
	session   *Session                   // the client's
	origin    *session.Origin            // what the other end has agreed on
	door      session.Door               // by which carriers lead
	dialAfter time.Duration              // how long the far stream takes
	room      int                        // of each stream, each way
	refuse    func() (wire.Reason, bool) // of an Open frame, in place of an answer

	mu      sync.Mutex
	begun   map[uint32]int             // how often a tunnel began at the origin
	streams map[uint32]chan *memStream // the services' ends
	over    []End                      // of both tables
	seed    uint64
	sockets map[*carrier.Carrier]*memSocket // beneath the carriers that the Net has made
	parties map[*carrier.Carrier]*party     // likewise
	serving sync.WaitGroup
	keep    func() (near, far fate) // if not nil, a carrier that dies is replaced
	made    int
	stopped bool
	cancel  context.CancelFunc
}

const testUser = 7

func newNet(t testing.TB) *Net {
	n := &Net{t: t, master: seal.NewMaster(), door: session.Stream, room: 64 << 10, begun: map[uint32]int{}, streams: map[uint32]chan *memStream{}, sockets: map[*carrier.Carrier]*memSocket{}, parties: map[*carrier.Carrier]*party{}}
	n.near = NewTable(Events{Ended: n.ended}, NewWindows(64<<20), true)
	n.far = NewTable(Events{Open: n.open, Ended: n.ended}, NewWindows(64<<20), false)
	n.session = n.newSession()
	n.origin = session.NewOrigin(session.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	for _, tb := range []*Table{n.near, n.far} {
		n.serving.Go(func() { tb.Sweep(ctx) })
	}
	return n
}

// newSession is another client's process, of the same link.
func (n *Net) newSession() *Session {
	pair, err := seal.NewClientPair(n.master.Client(testUser))
	if err != nil {
		n.t.Fatal(err)
	}
	return n.near.NewSession(session.NewClient(pair, session.AESGCM))
}

func (n *Net) ended(e End) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.over = append(n.over, e)
}

func (n *Net) ends() []End {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]End(nil), n.over...)
}

// open is the origin's acceptor.
func (n *Net) open(c *carrier.Carrier, s *Session, id uint32, svc wire.Service, early []byte) {
	if n.refuse != nil {
		if why, yes := n.refuse(); yes {
			s.Refuse(c, id, why)
			return
		}
	}
	t, ok := s.Accept(c, id, svc, early)
	if !ok {
		return
	}
	n.mu.Lock()
	n.begun[id]++
	n.mu.Unlock()
	time.AfterFunc(n.dialAfter, func() {
		mine, theirs := streamPair(n.room)
		n.service(id) <- theirs
		t.Join(mine)
	})
}

func (n *Net) service(id uint32) chan *memStream {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.streams[id] == nil {
		n.streams[id] = make(chan *memStream, 1)
	}
	return n.streams[id]
}

// carrier connects the ends and serves.
func (n *Net) carrier(near, far fate) (*carrier.Carrier, *carrier.Carrier) {
	n.mu.Lock()
	n.seed++
	n.made++
	a, b := socketPair(n.seed, near, far)
	n.mu.Unlock()
	cn, cf := n.between(n.session, a, b, a, b)
	n.serve(cn, cf)
	return cn, cf
}

// first makes a carrier and waits until the ends have agreed: of two that begin a session
// at a time the origin refuses one.
func (n *Net) first() (*carrier.Carrier, *carrier.Carrier) {
	near, far := n.carrier(fate{}, fate{})
	time.Sleep(time.Second)
	return near, far
}

// between makes carriers of s over two transports with sockets beneath, and serves neither.
func (n *Net) between(s *Session, near, far transport.Transport, a, b *memSocket) (cn, cf *carrier.Carrier) {
	if n.door == session.Gateway {
		near, far = gatewayDoor{near}, gatewayDoor{far}
	}
	token := wire.NewToken(testUser, wire.TokenKey{}, [32]byte{}, time.Now())
	pn := &party{Party: clientParty{s.client.Carrier(n.door, token), s}, token: token}
	n.mu.Lock()
	defer n.mu.Unlock()
	oc := n.origin.Carrier(n.door, token, testUser, n.master.Pair(testUser), time.Now())
	pf := &party{Party: originParty{oc, n.far}}
	cn, cf = carrier.New(n.near.Carriers, near, pn, 0), carrier.New(n.far.Carriers, far, pf, testUser)
	n.sockets[cn], n.sockets[cf] = a, b
	n.parties[cn], n.parties[cf] = pn, pf
	return cn, cf
}

// party is an end of a carrier of which a test sees the frames that are sealed, and may
// have others sealed.
type party struct {
	carrier.Party
	token wire.Token // a client's
	mu    sync.Mutex // guards the following
	log   func(f wire.Frame)
	forge []byte // what the next record holds, in place of what it should
	early bool   // also an early one
}

func (p *party) Seal(b []byte) ([]byte, error) {
	return p.Party.Seal(p.see(b, wire.RecordHead))
}

func (p *party) SealMessage(number uint32, b []byte, head int) ([]byte, error) {
	return p.Party.SealMessage(number, p.see(b, head), head)
}

func (p *party) see(b []byte, head int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.forge != nil && (p.early || p.State() == session.Live) {
		b, p.forge = append(b[:head], p.forge...), nil
	} else if p.log != nil {
		frames(b[head:], p.log)
	}
	return b
}

// frames calls f with each frame of a record, but for what pads it.
func frames(b []byte, f func(wire.Frame)) {
	for len(b) > 0 {
		frame, more, err := wire.NextFrame(b)
		if err != nil {
			panic(err)
		}
		if frame.Kind != wire.Pad {
			f(frame)
		}
		b = more
	}
}

// watch has f called with each frame that c seals from now on.
func (n *Net) watch(c *carrier.Carrier, f func(wire.Frame)) {
	p := n.party(c)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = f
}

func (n *Net) party(c *carrier.Carrier) *party {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.parties[c]
}

// forge has c seal a record of what a test made, in place of its next one.
func (n *Net) forge(c *carrier.Carrier, record []byte) {
	p := n.party(c)
	p.mu.Lock()
	p.forge = record
	p.mu.Unlock()
	c.Put(wire.Frame{Kind: wire.Pong})
}

// socket is what lies beneath a carrier that the Net has made.
func (n *Net) socket(c *carrier.Carrier) *memSocket {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sockets[c]
}

func (n *Net) serve(cn, cf *carrier.Carrier) {
	n.serving.Go(func() { cf.Serve() })
	n.serving.Go(func() {
		cn.Serve()
		n.replace()
	})
}

// replace gives the orphans a new carrier, as a client's pool does.
func (n *Net) replace() {
	n.mu.Lock()
	keep, made := n.keep, n.made
	if n.stopped {
		keep = nil
	}
	n.mu.Unlock()
	if keep == nil {
		return
	}
	if made == maxCarriers {
		n.t.Errorf("%d carriers were not enough", made)
		n.near.Abandon()
		return
	}
	time.Sleep(20 * time.Millisecond) // as dialling takes
	c, _ := n.carrier(keep())
	for _, t := range n.near.Orphans() {
		t.Attach(c, true)
	}
	n.session.SendClosures(c)
}

// maxCarriers is many times as many as a test needs: one whose carriers bring
// nothing fails, and does not go on for ever.
const maxCarriers = 2000

func (n *Net) carriersMade() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.made
}

// dial opens a tunnel by c (nil: by none yet) and returns the app's end of its
// stream and the tunnel.
func (n *Net) dial(c *carrier.Carrier, early []byte) (*memStream, *Tunnel) {
	n.t.Helper()
	app, mine := streamPair(n.room)
	t, ok := n.near.StartTunnel(wire.Service{Kind: wire.Chat}, bytes.Clone(early), mine)
	if !ok {
		n.t.Fatal("no tunnel")
	}
	if c != nil {
		t.Attach(c, false)
	}
	return app, t
}

// stop ends both ends and waits for their goroutines.
func (n *Net) stop() {
	n.mu.Lock()
	n.stopped = true
	n.mu.Unlock()
	n.cancel()
	n.near.Close()
	n.far.Close()
	n.serving.Wait()
}

// bytesOf makes n bytes that differ everywhere.
func bytesOf(n int, seed byte) []byte {
	b := make([]byte, n)
	x := uint32(seed) + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// tend does, until the Net stops, what a client's pool and an origin's loop do: carriers
// are asked whether they live, and what is old is erased.
func (n *Net) tend(ctx context.Context) {
	tick := time.NewTicker(carrier.CheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, c := range n.near.Carriers.All() {
				c.Check(now)
			}
			n.session.client.Expire(now)
			n.mu.Lock()
			origin := n.origin
			n.mu.Unlock()
			origin.Sweep(now)
		}
	}
}

// tendAlways has it tended until it stops.
func (n *Net) tendAlways() {
	ctx, cancel := context.WithCancel(context.Background())
	stop := n.cancel
	n.cancel = func() { stop(); cancel() }
	n.serving.Go(func() { n.tend(ctx) })
}

// number is that of a tunnel in its session.
func (t *Tunnel) number() uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.id
}

// bubble runs f with a net in a synctest bubble and sees that nothing is left.
func bubble(t *testing.T, f func(t *testing.T, n *Net)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := newNet(t)
		f(t, n)
		n.stop()
	})
}

// doors runs f by each door.
func doors(t *testing.T, f func(t *testing.T, n *Net)) {
	t.Helper()
	for name, door := range map[string]session.Door{"stream door": session.Stream, "gateway door": session.Gateway} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, n *Net) {
				n.door = door
				f(t, n)
			})
		})
	}
}

// joined opens a tunnel by c and returns both ends' streams.
func joined(t *testing.T, n *Net, c *carrier.Carrier) (app, service *memStream, near *Tunnel) {
	t.Helper()
	app, near = n.dial(c, nil)
	service = <-n.service(near.number())
	time.Sleep(2 * time.Second) // the first ack has come by either door
	synctest.Wait()
	return app, service, near
}

// eitherWay runs f by each door, with the app's stream first, then with the service's.
func eitherWay(t *testing.T, f func(t *testing.T, n *Net, a, b *memStream)) {
	t.Helper()
	for name, swap := range map[string]bool{"near": false, "far": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doors(t, func(t *testing.T, n *Net) {
				c, _ := n.carrier(fate{delay: time.Millisecond}, fate{delay: time.Millisecond})
				app, service, _ := joined(t, n, c)
				if swap {
					app, service = service, app
				}
				f(t, n, app, service)
			})
		})
	}
}

func (n *Net) wantTunnels(t *testing.T, near, far int) {
	t.Helper()
	if a, b := n.near.Tunnels(), n.far.Tunnels(); a != near || b != far {
		t.Errorf("got %d near and %d far ends of tunnels, want %d and %d", a, b, near, far)
	}
}

func wantRead(t *testing.T, from io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(from, got); err != nil || string(got) != want {
		t.Errorf("got %q and %v, want %q", got, err, want)
	}
}

func (n *Net) gateway() bool { return n.door == session.Gateway }
