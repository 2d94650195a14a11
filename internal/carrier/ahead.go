package carrier

import (
	"bytes"

	"culvert/internal/transport"
)

// Hold has a new carrier of the stream door write nothing before Release. It is called before all
// else.
func (c *Carrier) Hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.running = true
}

// First makes the first message of a carrier that is held, of at most most bytes, which goes
// ahead of its transport, with the request for one. nil: it cannot join, as the session is to be
// agreed on first.
func (c *Carrier) First(most int) []byte {
	b, record, turn, err := c.compose(transport.GetFull()[:0], most)
	defer transport.PutBuffer(b)
	if err != nil {
		c.CloseFor(causeOf(err))
		return nil
	}
	c.writing(record, record, turn)
	if record == 0 {
		return nil
	}
	return bytes.Clone(b)
}

// startAhead is Start where the client's first message has come with the transport: all that is to be
// said then goes at once, in as few packets as may be. A young TCP has ten.
func (c *Carrier) startAhead() {
	c.Hold()
	c.begin()
	serve := func() {
		err := c.readMessage()
		c.Release()
		if err != nil {
			c.end(err)
		} else if !c.transport.Park(c.serveOn) {
			c.serveOn()
		}
	}
	if !c.set.tasks.Go(serve) {
		c.end(ErrDead)
	}
}

// Release lets a carrier write that is held.
func (c *Carrier) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.running = false
	c.kick()
}
