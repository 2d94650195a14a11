package carrier

import (
	"bytes"
	"io"
	"time"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// Serve reads frames until the transport fails or brings something that is no
// frame, then ends the carrier and tells its senders. It returns why.
func (c *Carrier) Serve() error {
	var err error
	for err == nil {
		err = c.readMessage()
	}
	c.end()
	return err
}

// Start serves in goroutines of its own. While there is nothing to read, there is
// none where the transport allows it: reading grows a stack to four times what
// waiting needs, and waiting needs one, too.
func (c *Carrier) Start() {
	if !c.transport.Park(c.serveOn) && !c.set.tasks.Go(c.serveOn) {
		c.end() // the set was closed long ago
	}
}

func (c *Carrier) serveOn() {
	for c.readMessage() == nil {
		if c.transport.Park(c.serveOn) {
			return
		}
	}
	c.end()
}

func (c *Carrier) readMessage() error {
	r, err := c.transport.NextMessage()
	if err != nil {
		return err
	}
	return c.readFrames(r, c.head[:])
}

// deliverAll delivers the frames of a message that has come as a whole. Many
// goroutines may call it. An error has ended the carrier.
func (c *Carrier) deliverAll(frames []byte) error {
	err := c.readFrames(bytes.NewReader(frames), make([]byte, wire.HeaderLen))
	if err != nil {
		c.Close()
	}
	return err
}

// readFrames delivers all frames of a message. It reads their headers into head.
func (c *Carrier) readFrames(r io.Reader, head []byte) error {
	c.live.lastRx.Store(time.Now().UnixNano())
	for {
		if _, err := io.ReadFull(r, head); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		h, err := wire.Parse(head)
		if err != nil {
			return err
		}
		if err := c.readFrame(r, h); err != nil {
			return err
		}
	}
}

func (c *Carrier) readFrame(r io.Reader, h wire.Header) error {
	if h.Len == 0 {
		return c.deliver(h, nil)
	}
	b := transport.GetBuffer(h.Len)
	if err := c.fill(r, b); err != nil {
		transport.PutBuffer(b)
		return err
	}
	return c.deliver(h, b)
}

// fill reads all of b. Every piece counts as heard: a large frame takes long
// on a slow link.
func (c *Carrier) fill(r io.Reader, b []byte) error {
	for len(b) > 0 {
		n, err := r.Read(b)
		if b = b[n:]; err != nil && len(b) > 0 {
			return err
		}
		c.live.lastRx.Store(time.Now().UnixNano())
	}
	return nil
}

// deliver hands a frame on; payload is not the carrier's from here on.
func (c *Carrier) deliver(h wire.Header, payload []byte) error {
	if !c.live.heard.Load() { // a store for each frame would cost more
		c.live.heard.Store(true)
	}
	if h.Tunnel == 0 {
		c.carrierWide(h)
		return nil
	}
	return c.set.handler.Deliver(c, h, payload)
}

func (c *Carrier) carrierWide(h wire.Header) {
	switch h.Kind {
	case wire.Ping:
		c.PutControl(wire.Header{Kind: wire.Pong, Seq: h.Seq})
	case wire.Pong:
		c.pong()
	case wire.Drain:
		c.draining.Store(true)
		c.set.handler.Draining(c)
	}
}
