package relay

import (
	"time"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// write sends control, f and the riders' frames, as few messages as they need.
func (c *Carrier) write(control []byte, t *Tunnel, f *frame, riders []*turn) error {
	if c.profile.Paid { // a message goes anyway
		control = append(control, c.takeOwed()...)
		c.lastTx.Store(time.Now().UnixNano())
	}
	if f != nil && f.bulk() || len(control)+len(riders) == 0 {
		if err := c.writeControl(control); err != nil || f == nil {
			return err
		}
		t.stamp(f)
		return c.writeOne(f)
	}
	msg := transport.GetFull()[:0]
	defer func() { transport.PutBuffer(msg) }()
	msg = append(msg, control[:wholeFrames(control, maxBatch)]...)
	control = control[len(msg):]
	if f != nil {
		msg = t.appendStamped(msg, f)
	}
	for _, w := range riders {
		msg = w.t.appendStamped(msg, w.f)
	}
	if err := c.sock.WriteMessage(msg); err != nil {
		return err
	}
	return c.writeControl(control)
}

func (c *Carrier) writeControl(b []byte) error {
	for len(b) > 0 {
		n := wholeFrames(b, wire.MaxFrame)
		if err := c.sock.WriteMessage(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// wholeFrames is how many of b's bytes are frames that fit into limit together.
func wholeFrames(b []byte, limit int) int {
	if len(b) <= limit {
		return len(b)
	}
	n := 0
	for {
		h, _ := wire.Parse(b[n:])
		if n+wire.HeaderLen+h.Len > limit {
			return n
		}
		n += wire.HeaderLen + h.Len
	}
}

// writeOne writes a message of one frame and learns from how long that takes.
func (c *Carrier) writeOne(f *frame) error {
	if !f.bulk() || c.profile.Frame > 0 {
		return c.sock.WriteMessage(f.buf)
	}
	began := time.Now()
	err := c.sock.WriteMessage(f.buf)
	took := time.Since(began)
	c.mu.Lock()
	switch {
	case took < fastWrite:
		c.chunk = min(2*c.chunk+largerBy, wire.MaxData)
	case took > slowWrite:
		c.chunk = max(c.chunk/2, firstChunk/2)
	}
	c.mu.Unlock()
	return err
}

// largerBy keeps doubled chunks a multiple of TLS records, frame and all.
const largerBy = wire.HeaderLen + wire.Overhead + 8

func (c *Carrier) chunkSize() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.chunk
}
