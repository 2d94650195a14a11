package tunnel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"sync"
	"testing"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/wire"
)

// testKeys seal with a checksum and watch over what the seal's safety rests
// on: that no position is used for two different payloads.
type testKeys struct {
	side  byte // of the sealer: 'n' or 'f'
	mu    sync.Mutex
	sums  map[uint64]uint64
	fails func(string)
}

var crcTable = crc64.MakeTable(crc64.ECMA)

func (k *testKeys) tag(side byte, kind wire.Kind, pos uint64, plain []byte) (tag [wire.Overhead]byte) {
	sum := crc64.Update(crc64.Checksum([]byte{side, byte(kind)}, crcTable), crcTable, plain)
	binary.BigEndian.PutUint64(tag[:], sum)
	binary.BigEndian.PutUint64(tag[8:], pos)
	return tag
}

func (k *testKeys) Seal(buf []byte, kind wire.Kind, pos uint64) []byte {
	tag := k.tag(k.side, kind, pos, buf)
	k.mu.Lock()
	defer k.mu.Unlock()
	sum := binary.BigEndian.Uint64(tag[:])
	if before, again := k.sums[pos]; again && before != sum {
		k.fails(fmt.Sprintf("two payloads were sealed at %d", pos))
	}
	k.sums[pos] = sum
	if cap(buf)-len(buf) < wire.Overhead {
		k.fails("no room for the tag")
	}
	return append(buf, tag[:]...)
}

var errNotGenuine = errors.New("not genuine")

func (k *testKeys) Open(buf []byte, kind wire.Kind, pos uint64) ([]byte, error) {
	plain := buf[:len(buf)-wire.Overhead]
	if tag := k.tag('n'+'f'-k.side, kind, pos, plain); !bytes.Equal(tag[:], buf[len(plain):]) {
		return nil, errNotGenuine
	}
	return plain, nil
}

func (k *testKeys) Forget() {}

// Handshake makes what a tunnel begins with, at both ends.
type Handshake struct {
	Start func(id wire.TunnelID, early []byte) (Start, error)
	Open  func(id wire.TunnelID, payload []byte) (Opened, error)
}

// plainHandshake is one without secrets. Its first message is '1' and the
// early bytes, its second 48 bytes of '2'.
func plainHandshake(t testing.TB) Handshake {
	fails := func(s string) { t.Error(s) }
	keys := func(side byte) Keys { return &testKeys{side: side, sums: map[uint64]uint64{}, fails: fails} }
	accept := bytes.Repeat([]byte("2"), 48)
	return Handshake{
		Start: func(id wire.TunnelID, early []byte) (Start, error) {
			return Start{
				ID: id, Service: wire.Service{Kind: wire.Chat}, Payload: append([]byte("1"), early...), Early: len(early),
				Finish: func(got []byte) (Keys, error) {
					if !bytes.Equal(got, accept) {
						return nil, errNotGenuine
					}
					return keys('n'), nil
				},
			}, nil
		},
		Open: func(id wire.TunnelID, payload []byte) (Opened, error) {
			if payload[0] != '1' {
				return Opened{}, errNotGenuine
			}
			return Opened{ID: id, Service: wire.Service{Kind: wire.Chat}, Early: bytes.Clone(payload[1:]),
				Accept: accept, Keys: keys('f')}, nil
		},
	}
}

// Net is two ends in one process: a client's table and an origin's, and
// sockets between them that behave as told.
type Net struct {
	t         testing.TB
	hand      Handshake
	near, far *Table
	dialAfter time.Duration              // how long the far stream takes
	room      int                        // of each stream, each way
	refuse    func() (wire.Reason, bool) // of an Open frame, in place of an answer

	mu      sync.Mutex
	opened  map[wire.TunnelID]bool
	streams map[wire.TunnelID]chan *memStream // the services' ends
	over    []End                             // of both tables
	seed    uint64
	sockets map[*carrier.Carrier]*memSocket // beneath the carriers that the Net has made
	serving sync.WaitGroup
	keep    func() (near, far fate) // if not nil, a carrier that dies is replaced
	made    int
	stopped bool
	cancel  context.CancelFunc
}

func newNet(t testing.TB) *Net { return newNetOf(t, plainHandshake(t)) }

func newNetOf(t testing.TB, h Handshake) *Net {
	n := &Net{t: t, hand: h, room: 64 << 10, opened: map[wire.TunnelID]bool{}, streams: map[wire.TunnelID]chan *memStream{}, sockets: map[*carrier.Carrier]*memSocket{}}
	n.near = NewTable(Events{Ended: n.ended}, NewWindowBudget(64<<20))
	n.far = NewTable(Events{Open: n.open, Ended: n.ended}, NewWindowBudget(64<<20))
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.serving.Go(func() { n.near.Sweep(ctx) })
	n.serving.Go(func() { n.far.Sweep(ctx) })
	return n
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

// open is the origin's: it remembers Open frames as the seal does.
func (n *Net) open(c *carrier.Carrier, id wire.TunnelID, payload []byte) error {
	n.mu.Lock()
	again := n.opened[id]
	n.mu.Unlock()
	if n.refuse != nil {
		if why, yes := n.refuse(); yes {
			n.far.Refuse(c, id, why, time.Now().Unix())
			return nil
		}
	}
	o, err := n.hand.Open(id, payload)
	if again || err != nil {
		n.far.Refuse(c, id, wire.Refused, 0)
		return nil
	}
	t, ok := n.far.AcceptTunnel(c, o)
	if !ok {
		n.far.Reopened(c, id)
		return nil
	}
	n.mu.Lock()
	n.opened[id] = true
	n.mu.Unlock()
	time.AfterFunc(n.dialAfter, func() {
		mine, theirs := streamPair(n.room)
		n.service(id) <- theirs
		t.Join(mine)
	})
	return nil
}

func (n *Net) service(id wire.TunnelID) chan *memStream {
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
	cn, cf := n.near.NewCarrier(a, 0), n.far.NewCarrier(b, 7)
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
func (n *Net) dial(c *carrier.Carrier, id wire.TunnelID, early []byte) (*memStream, *Tunnel) {
	n.t.Helper()
	s, err := n.hand.Start(id, early)
	if err != nil {
		n.t.Fatal(err)
	}
	app, mine := streamPair(n.room)
	t, ok := n.near.StartTunnel(s, mine)
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
