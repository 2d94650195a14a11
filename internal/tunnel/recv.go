package tunnel

import (
	"slices"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// recvState says how far the other direction has come: the peer's bytes on their way to
// the stream.
type recvState byte

const (
	recvOpen   recvState = iota // the peer may have more to say
	recvEnded                   // all up to the peer's Fin has come: the queue is what is left
	recvClosed                  // all is written, and the Fin passed on
)

// recvHalf is what came from the peer and was not written to the stream. Frames come in
// any order, in any cut, any number of times. Tunnel.mu guards it.
type recvHalf struct {
	state    recvState
	got      uint64 // position up to which all has come
	written  uint64 // position up to which all was written to the stream
	told     uint64 // the last ack that the peer was sent
	promised uint64 // the furthest limit that the peer was told
	win      window
	queue    []chunk // in order, to be written
	ahead    []chunk // came before what precedes them, in order of positions
	writing  bool    // somebody writes the queue
	ackDue   bool    // an ack goes with the next frame
	ackSoon  bool    // it is due before the profile's AckDelay
	bytes    int64   // of the buffers in queue and ahead
}

// chunk is bytes of the stream on their way to it, or the Fin.
type chunk struct {
	buf  []byte // what to give back
	data []byte // what is left to write
	fin  bool
	from uint64
}

func (c *chunk) end() uint64 {
	if c.fin {
		return c.from + 1
	}
	return c.from + uint64(len(c.data))
}

// maxAhead bounds the chunks that are held, whatever their size, and leastAhead is the size of those
// of which a whole window is held.
const maxAhead, leastAhead = 4096, 1 << 10

// take takes a chunk. keep is the buffer that it lies in, if it may be kept, else nil.
// kept says that it was; grown is how many bytes of buffers are held more, or fewer. The
// error is wire.ErrFrame.
func (r *recvHalf) take(c chunk, keep []byte) (kept bool, grown int64, err error) {
	before := r.bytes
	end := c.end()
	limit := r.promised
	if c.fin {
		limit++
	}
	switch {
	case end <= r.got: // twice: the ack may have been lost
		return false, 0, nil
	case end > limit || r.state != recvOpen || uint64(len(r.queue)+len(r.ahead)) >= max(maxAhead, r.win.size/leastAhead):
		return false, 0, wire.ErrFrame
	}
	if c.from < r.got {
		c.data = c.data[r.got-c.from:]
		c.from = r.got
	}
	i, covered := r.place(c)
	if covered {
		return false, 0, nil
	}
	if !c.fin {
		if c.buf = keep; keep == nil {
			c.buf = transport.GetBuffer(len(c.data))
			c.data = c.buf[:copy(c.buf, c.data)]
		}
		r.bytes += int64(cap(c.buf))
	}
	if c.from > r.got {
		r.ahead = slices.Insert(r.ahead, i, c)
	} else {
		r.enqueue(c)
	}
	return keep != nil && !c.fin, r.bytes - before, nil
}

// place is where c belongs in ahead. covered says that another holds all of it.
func (r *recvHalf) place(c chunk) (i int, covered bool) {
	i, _ = slices.BinarySearchFunc(r.ahead, c.from, func(a chunk, from uint64) int {
		if a.from <= from {
			return -1
		}
		return 1
	})
	return i, i > 0 && r.ahead[i-1].end() >= c.end() && r.ahead[i-1].fin == c.fin
}

// enqueue takes what is next in order, and what waited for it.
func (r *recvHalf) enqueue(c chunk) {
	r.queue = append(r.queue, c)
	r.got = c.end()
	r.fin(c)
	n := 0
	for ; n < len(r.ahead) && r.ahead[n].from <= r.got && r.state == recvOpen; n++ {
		a := r.ahead[n]
		if a.end() <= r.got {
			r.bytes -= int64(cap(a.buf))
			transport.PutBuffer(a.buf)
			continue
		}
		a.data = a.data[min(r.got-a.from, uint64(len(a.data))):]
		a.from = r.got
		r.queue = append(r.queue, a)
		r.got = a.end()
		r.fin(a)
	}
	if r.ahead = slices.Delete(r.ahead, 0, n); len(r.ahead) == 0 {
		r.ahead = nil
	}
}

func (r *recvHalf) fin(c chunk) {
	if c.fin {
		r.state = recvEnded
	}
}

// wrote takes n bytes off the queue, which the stream has, and returns how many bytes of
// buffers that frees.
func (r *recvHalf) wrote(n int) (freed int64) {
	c := &r.queue[0]
	c.data, c.from = c.data[n:], c.from+uint64(n)
	r.written += uint64(n)
	if len(c.data) == 0 {
		freed = r.dequeue()
	}
	return freed
}

func (r *recvHalf) dequeue() (freed int64) {
	freed = int64(cap(r.queue[0].buf))
	r.bytes -= freed
	transport.PutBuffer(r.queue[0].buf)
	r.queue[0] = chunk{}
	if r.queue = r.queue[1:]; len(r.queue) == 0 {
		r.queue = nil
	}
	return freed
}

// closed notes that the Fin was passed on.
func (r *recvHalf) closed() {
	r.dequeue()
	r.written++
	r.state = recvClosed
}

// ackNow is what to tell the peer: what was written, and that it may go on for a window from there.
// A limit is never taken back.
func (r *recvHalf) ackNow(id uint32, window uint64) wire.Frame {
	r.ackDue, r.ackSoon = false, false
	r.told = r.written
	r.promised = max(r.promised, r.written+window)
	return wire.Frame{Kind: wire.Ack, Tunnel: id, Pos: r.written, Num: uint32(r.promised - r.written)}
}

// drop gives all buffers back but one that is being written, and returns how many bytes
// there were.
func (r *recvHalf) drop() int64 {
	for _, c := range r.ahead {
		transport.PutBuffer(c.buf)
	}
	if !r.writing { // else the writer has the first
		for _, c := range r.queue {
			transport.PutBuffer(c.buf)
		}
	}
	n := r.bytes
	r.queue, r.ahead, r.bytes = nil, nil, 0
	return n
}
