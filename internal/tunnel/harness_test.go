package tunnel

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/seal"
	"culvert/internal/session"
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
	dialAfter time.Duration              // how long the far stream takes
	room      int                        // of each stream, each way
	refuse    func() (wire.Reason, bool) // of an Open frame, in place of an answer

	mu      sync.Mutex
	begun   map[uint32]int             // how often a tunnel began at the origin
	streams map[uint32]chan *memStream // the services' ends
	over    []End                      // of both tables
	seed    uint64
	sockets map[*carrier.Carrier]*memSocket // beneath the carriers that the Net has made
	serving sync.WaitGroup
	keep    func() (near, far fate) // if not nil, a carrier that dies is replaced
	made    int
	stopped bool
	cancel  context.CancelFunc
}

const testUser = 7

func newNet(t testing.TB) *Net {
	n := &Net{t: t, master: seal.NewMaster(), room: 64 << 10, begun: map[uint32]int{}, streams: map[uint32]chan *memStream{}, sockets: map[*carrier.Carrier]*memSocket{}}
	n.near = NewTable(Events{Ended: n.ended}, NewWindowBudget(64<<20), true)
	n.far = NewTable(Events{Open: n.open, Ended: n.ended}, NewWindowBudget(64<<20), false)
	n.session = n.newSession()
	n.origin = session.NewOrigin(session.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.serving.Go(func() { n.near.Sweep(ctx) })
	n.serving.Go(func() { n.far.Sweep(ctx) })
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
	seed := n.seed
	n.mu.Unlock()
	a, b := socketPair(seed, near, far)
	token := wire.NewToken(testUser, wire.TokenKey{}, [32]byte{}, time.Now())
	cn := n.session.NewCarrier(a, session.Stream, token)
	cf := n.far.NewCarrier(b, n.origin.Carrier(session.Stream, token, testUser, n.master.Pair(testUser), time.Now()), testUser)
	n.mu.Lock()
	n.sockets[cn], n.sockets[cf] = a, b
	n.mu.Unlock()
	n.serve(cn, cf)
	return cn, cf
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
