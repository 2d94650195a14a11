package tunnel

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"sync/atomic"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/netpoll"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// streamReader reads a tunnel's stream, and alone knows how it is waited for: reading
// and framing grow a goroutine's stack to several times what waiting needs, so an idle
// stream waits in the poller, or in a new goroutine. The zero value is of no stream yet.
type streamReader struct {
	conn        net.Conn
	nonblocking *netpoll.Conn // the same as conn; nil: it is no plain TCP connection
	grown       atomic.Bool   // the pump's stack has grown
	listed      atomic.Bool   // it is among the table's pauses
	full        bool          // the pump's own: the last read filled its buffer

	// Tunnel.mu guards the following.
	closing bool  // the peer's Fin is being passed on
	sending bool  // it is writing to a carrier
	told    bool  // since it was listed it was told to wait with a small stack
	pumps   int   // how many pumps there were; the last one reads
	last    int64 // when bytes were last read, Unix ns
}

func (r *streamReader) open(conn net.Conn, p *netpoll.Poller) {
	r.conn, r.nonblocking = conn, netpoll.NewConn(conn, transport.GetFull, transport.PutBuffer)
	if r.nonblocking != nil {
		r.nonblocking.Peek = true
		r.nonblocking.Use(p)
	}
}

// park has resume called when there is something to read; false: the caller reads.
func (r *streamReader) park(resume func()) bool {
	return r.nonblocking != nil && r.nonblocking.Peek && r.nonblocking.Park(resume)
}

// errRested means that a read was given up, as the stream is idle.
var errRested = errors.New("the stream is idle")

// fullRead is what is read at once, at most, and fullVaries by how much less it is by chance: a transfer has no messages
// of one length, of which all TLS records but the last are full.
const fullRead, fullVaries = carrier.FullData, 512

// read waits for bytes of the stream, at most room, in a buffer to be given back. An
// error may come with bytes. errRested comes alone: a new goroutine is to go on.
func (r *streamReader) read(room int) (buf []byte, n int, err error) {
	buf, n, err = r.readSome(min(room, fullRead-rand.IntN(fullVaries)))
	if errors.Is(err, os.ErrDeadlineExceeded) && n == 0 {
		r.conn.SetReadDeadline(time.Time{})
		r.grown.Store(false)
		if r.nonblocking != nil {
			r.nonblocking.Peek = true
		}
		return nil, 0, errRested
	}
	r.grown.Store(true)
	return fit(buf, n), n, err
}

func (r *streamReader) readSome(room int) (buf []byte, n int, err error) {
	if r.nonblocking != nil {
		return r.nonblocking.Read(0, room)
	}
	if r.full {
		buf = transport.GetFull()
	} else {
		room = min(room, smallSize)
		buf = make([]byte, room)
	}
	n, err = r.conn.Read(buf[:room])
	r.full = n == room
	if n == 0 {
		transport.PutBuffer(buf)
	}
	return buf, n, err
}

// fit moves n bytes to a smaller buffer if there is one.
func fit(buf []byte, n int) []byte {
	if n == 0 || n > transport.MidSize || cap(buf) != transport.FullSize {
		return buf
	}
	fits := transport.GetBuffer(n)
	copy(fits, buf[:n])
	transport.PutBuffer(buf)
	return fits
}

// releaseStack has the pump wait with a new stack, if it has grown one.
func (r *streamReader) releaseStack() {
	if r.nonblocking != nil && r.grown.Load() {
		r.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// pause is how long a stream says nothing before it is thought to pause.
const pause = 20 * time.Millisecond

// rest is releaseStack if the stream pauses, and reports that. Tunnel.mu is held.
func (r *streamReader) rest() (pauses bool) {
	if time.Now().UnixNano()-r.last <= int64(pause) {
		return false
	}
	if r.grown.Load() {
		r.releaseStack()
	}
	return true
}

// tryWrite writes without waiting. blocked says that not all could be, or that this
// stream is not one for which that can be known.
func (r *streamReader) tryWrite(b []byte) (n int, blocked bool, err error) {
	if r.nonblocking == nil {
		return 0, true, nil
	}
	n, err = r.nonblocking.TryWrite(b)
	return n, n < len(b), err
}

// gone reports that the stream's peer has closed both directions.
func (r *streamReader) gone() bool { return r.nonblocking != nil && r.nonblocking.Gone() }

// cancel ends a park.
func (r *streamReader) cancel() {
	if r.nonblocking != nil {
		r.nonblocking.Cancel()
	}
}

// startPump has a goroutine read the stream, in place of any other.
func (t *Tunnel) startPump(number int) { t.table.tasks.Go(func() { t.pump(number) }) }

// pump reads the stream and hands it to the carriers until the stream ends or the tunnel
// does.
func (t *Tunnel) pump(number int) {
	for {
		room := t.waitRoom()
		if room == 0 || t.reader.park(func() { t.pump(number) }) {
			return
		}
		buf, n, err := t.reader.read(room)
		if n > 0 && err == nil {
			t.table.pauses.expect(t)
		}
		if n > 0 && !t.push(buf, n, number) {
			return
		}
		switch {
		case errors.Is(err, errRested):
			t.startPump(number)
			return
		case err != nil:
			t.streamEnded(err)
			return
		}
	}
}

// replacePump has another goroutine read on if the pump is writing to a carrier, which
// may take as long as that lives. t.mu is held.
func (t *Tunnel) replacePump() {
	if t.reader.sending {
		t.reader.sending = false
		t.reader.pumps++
		t.startPump(t.reader.pumps)
	}
}

// readAhead is how much is read that waits for a carrier's turn.
const readAhead = 32 << 10

// waitRoom waits until more may be read and says how many bytes; 0 when the tunnel has
// ended. Without a carrier as much is read as an Open frame takes: so the end of an app
// that waits no longer shows.
func (t *Tunnel) waitRoom() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	for !t.isOver() {
		if t.current() == nil && t.isUnbegun() && t.send.read < wire.MaxEarly {
			return int(wire.MaxEarly - t.send.read)
		}
		least := t.profile().MinRoom
		ahead := readAhead
		if t.profile().Messages {
			ahead = messageAhead
		}
		if t.current() != nil && t.send.unsent() < ahead && len(t.send.kept) < maxKept {
			room := t.roomToSend()
			if room >= least || room > 0 && t.send.acked == t.send.read {
				return int(min(room, fullRead))
			}
		}
		t.wait()
	}
	return 0
}

// push keeps what was read and has it sent; false if the tunnel has ended, or another
// pump reads now.
func (t *Tunnel) push(buf []byte, n, number int) bool {
	t.mu.Lock()
	if t.isOver() {
		t.mu.Unlock()
		transport.PutBuffer(buf)
		return false
	}
	t.send.keep(buf, buf[:n])
	t.keep(int64(cap(buf)))
	t.reader.last = time.Now().UnixNano()
	t.table.active.Store(t.reader.last)
	t.session.moved(t.reader.last)
	t.table.moved[t.Service.Kind].sent.Add(uint64(n))
	t.noteBulk()
	p, unsent := t.current(), t.send.unsent()
	if t.reader.full { // there is more, and it need not hurry
		unsent = max(unsent, transport.SmallFrame+1)
	}
	t.ready(p)
	t.reader.sending = p != nil
	t.mu.Unlock()
	if p == nil {
		return true
	}
	p.slot.Send(unsent)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reader.pumps != number {
		return false
	}
	t.reader.sending = false
	return true
}
