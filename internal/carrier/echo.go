package carrier

import (
	"time"

	"culvert/internal/wire"
)

// echoMark is in the Pings of Echo, and so in their Pongs, and paceMark in those that ask, where
// messages are paid for, how much has come. Those of Ping have zeros.
const (
	echoMark = 1
	paceMark = 2
)

// echoLen is the length of a Ping, and of a Pong.
const echoLen = 1 + 8

// Echo has the peer bring about n bytes: it sends as many in Pings, whose Pongs Echoed
// counts. An old peer answers as any other.
func (c *Carrier) Echo(n int) {
	c.SkipOpening()
	for range n / echoLen {
		c.Put(wire.Frame{Kind: wire.Ping, Pos: echoMark})
	}
}

// Echoed is how many bytes of what Echo asked for have come.
func (c *Carrier) Echoed() int { return int(c.alive.echoed.Load()) * echoLen }

// Rest has Check ask nothing until then, so that it shows for how long a path keeps a
// connection on which nothing moves.
func (c *Carrier) Rest(until time.Time) { c.alive.resting.Store(until.UnixNano()) }
