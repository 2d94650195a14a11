package emulator

import "sync"

// outbox is what waits for one client. Room is reserved before something is
// put, since a post is answered before it is delivered.
type outbox struct {
	gate *Gateway

	mu       sync.Mutex // guards the following; never held across I/O
	wake     sync.Cond
	reserved int
	queue    [][]byte
	last     bool // nothing is put any more
}

func newOutbox(g *Gateway) *outbox {
	o := &outbox{gate: g}
	o.wake.L = &o.mu
	return o
}

// reserve tells whether n more bytes may wait; free must follow if so.
func (o *outbox) reserve(n int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.reserved+n > o.gate.opt.ClientBuffer {
		return false
	}
	if o.gate.waiting.Add(int64(n)) > int64(o.gate.opt.BufferBytes) {
		o.gate.waiting.Add(-int64(n))
		return false
	}
	o.reserved += n
	return true
}

func (o *outbox) free(n int) {
	o.gate.waiting.Add(-int64(n))
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reserved -= n
}

// put keeps frames, for which room is reserved, and tells whether they will be
// written; if not, the room is free again.
func (o *outbox) put(frames []byte) bool {
	o.mu.Lock()
	closed := o.last
	if !closed {
		o.queue = append(o.queue, frames)
		o.wake.Signal()
	}
	o.mu.Unlock()
	if closed {
		o.free(len(frames))
	}
	return !closed
}

// finish puts a last frame, which always has room, or none. It is called once.
func (o *outbox) finish(frame []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = true
	if frame != nil {
		o.reserved += len(frame)
		o.gate.waiting.Add(int64(len(frame)))
		o.queue = append(o.queue, frame)
	}
	o.wake.Signal()
}

// next waits for the oldest; nil means that all were given out and no more come.
func (o *outbox) next() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) == 0 && !o.last {
		o.wake.Wait()
	}
	if len(o.queue) == 0 {
		return nil
	}
	b := o.queue[0]
	o.queue[0] = nil
	o.queue = o.queue[1:]
	return b
}
