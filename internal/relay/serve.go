package relay

import (
	"io"
	"time"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// Serve reads frames until the transport fails or brings something that is no
// frame, then ends the carrier and lets go of its tunnels. It returns why.
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
	if !c.sock.Park(c.serveOn) {
		go c.serveOn()
	}
}

func (c *Carrier) serveOn() {
	for c.readMessage() == nil {
		if c.sock.Park(c.serveOn) {
			return
		}
	}
	c.end()
}

func (c *Carrier) end() {
	c.fail()
	c.table.removeCarrier(c)
	c.tellLater()
	for _, t := range c.users() {
		t.lost(c)
	}
}

func (c *Carrier) readMessage() error {
	r, err := c.sock.NextMessage()
	if err != nil {
		return err
	}
	c.lastRx.Store(time.Now().UnixNano())
	for {
		if _, err := io.ReadFull(r, c.head[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		h, err := wire.Parse(c.head[:])
		if err != nil {
			return err
		}
		if err := c.readFrame(r, h); err != nil {
			return err
		}
	}
}

// take delivers the frames of a message that has come as a whole.
func (c *Carrier) take(frames []byte) error {
	c.lastRx.Store(time.Now().UnixNano())
	for len(frames) > 0 {
		h, err := wire.Parse(frames)
		if err != nil || len(frames) < wire.HeaderLen+h.Len {
			return wire.ErrFrame
		}
		var payload []byte
		if h.Len > 0 {
			payload = transport.GetBuffer(h.Len)
			copy(payload, frames[wire.HeaderLen:])
		}
		if err := c.deliver(h, payload); err != nil {
			return err
		}
		frames = frames[wire.HeaderLen+h.Len:]
	}
	return nil
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
		c.lastRx.Store(time.Now().UnixNano())
	}
	return nil
}

// deliver hands a frame to its tunnel; payload is the tunnel's from here on.
func (c *Carrier) deliver(h wire.Header, payload []byte) error {
	if !c.heard.Load() { // a store for each frame would cost more
		c.heard.Store(true)
	}
	if h.Tunnel == 0 {
		c.carrierWide(h)
		return nil
	}
	if t := c.table.find(h.Tunnel); t != nil && t.user == c.User {
		return t.deliver(c, h, payload)
	}
	return c.table.stray(c, h, payload)
}
