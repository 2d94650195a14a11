package carrier

import (
	"time"

	"culvert/internal/pace"
	"culvert/internal/wire"
)

// path is what the carrier shares with others that take the same way to the peer.
// Carrier.mu guards it.
type path struct {
	number byte         // as the client counts them
	window *pace.Window // nil: the handler's, by number
	lane   *pace.Lane   // nil: no bulk has gone yet
}

// Follow tells a client's carrier which path it takes, and what may be in flight there. The
// peer is told the number.
func (c *Carrier) Follow(number byte, w *pace.Window) {
	c.mu.Lock()
	c.path.number, c.path.window = number, w
	c.mu.Unlock()
	if number != 0 {
		c.Put(wire.Frame{Kind: wire.Path, Code: number})
	}
}

// takePath is told by a client which path the carrier takes.
func (c *Carrier) takePath(number byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.path.lane == nil {
		c.path.number = number
	}
}

// mayFly is how many bytes of bulk may go now; 0 if the path has room for none, and then it
// is asked again when there may be some. c.mu is held.
func (c *Carrier) mayFly() int {
	if c.path.lane == nil {
		if c.path.window == nil {
			c.path.window = c.Handler().Window(c.path.number, c.RTT())
		}
		c.path.lane = c.path.window.NewLane(c.out.sent, c.flies)
	}
	return c.path.lane.Room(time.Now())
}

// flies is told that the path may have room.
func (c *Carrier) flies() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.paced = false
	c.kick()
}
