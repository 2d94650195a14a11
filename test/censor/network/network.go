package network

import (
	"io"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// direction is where a packet goes.
type direction int

const (
	up   direction = iota // from the client
	down                  // to the client
)

// maxPacket bounds an IP packet of a TUN device, whose MTU is 1,500.
const maxPacket = 2 << 10

// Network is a path that goes on until Close. Its methods may be called by many
// at once.
type Network struct {
	ends  [2]io.ReadWriteCloser // the client's and the server's
	pipes [2]*pipe
	stop  chan struct{}
	tasks sync.WaitGroup

	mu       sync.Mutex // guards the following
	rules    Rules
	chance   *rand.Rand
	flows    map[key]*flow
	all      []*flow // oldest first, the ended ones included
	admitted map[netip.Addr][]time.Time
}

// New carries IP packets between two ends, each a file whose reads and writes are
// packets; it owns both. The same seed loses the same packets of a sequence.
func New(client, server io.ReadWriteCloser, rules Rules, seed uint64) *Network {
	n := &Network{
		ends: [2]io.ReadWriteCloser{client, server}, pipes: [2]*pipe{newPipe(server), newPipe(client)}, stop: make(chan struct{}),
		rules: rules, chance: rand.New(rand.NewPCG(seed, seed)), flows: map[key]*flow{}, admitted: map[netip.Addr][]time.Time{},
	}
	for _, d := range []direction{up, down} {
		n.tasks.Go(func() { n.read(d) })
		n.tasks.Go(func() { n.pipes[d].run(n.stop) })
	}
	return n
}

// Close ends the path, and waits until nothing of it runs any more.
func (n *Network) Close() {
	close(n.stop)
	for _, e := range n.ends {
		e.Close()
	}
	n.tasks.Wait()
}

// Change lets f change the rules, which hold from then on; what they have done to
// a connection stays.
func (n *Network) Change(f func(*Rules)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(&n.rules)
}

// Flows are all connections that were tried, the oldest first.
func (n *Network) Flows() (all []Flow) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range n.all {
		all = append(all, f.Flow)
	}
	return all
}

// read takes packets that go one way until the end that they come from is closed.
func (n *Network) read(d direction) {
	for {
		b := make([]byte, maxPacket)
		size, err := n.ends[d].Read(b)
		if err != nil {
			return
		}
		n.take(b[:size], d)
	}
}

// take lets a packet pass or not. Nothing but TCP over IPv4 passes.
func (n *Network) take(b []byte, d direction) {
	p, ok := parse(b)
	if !ok {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	f := n.judge(p, d, now)
	if f == nil || n.rules.Loss > 0 && n.chance.Float64() < n.rules.Loss {
		return
	}
	if n.inject(d, b, now) {
		f.observe(p, d, now)
	}
}

// inject sends a packet that no rule judges, unless the queue is full. The caller
// holds n.mu.
func (n *Network) inject(d direction, b []byte, now time.Time) bool {
	rate := n.rules.Up
	if d == down {
		rate = n.rules.Down
	}
	return n.pipes[d].send(b, rate, n.rules.Delay, now)
}
