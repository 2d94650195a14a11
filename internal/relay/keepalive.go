package relay

import (
	"time"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// How an end notices that a carrier fell silent. The client asks: while there
// is traffic it pings after quiet of pingActive and gives the answer the
// profile's pongWait, with CheckEvery 8.5 s together at the stream door; when
// all is idle it pings every pingIdle, less than the 60 s at which common CDNs
// cut. The origin only waits.
const (
	CheckEvery = time.Second
	pingActive = 2500 * time.Millisecond
	pingIdle   = 25 * time.Second
	activeFor  = 60 * time.Second
)

// A function has 29 s to hand a message on, so one that is missing for longer
// is lost. A client asks before.
const (
	askOverdue = 15 * time.Second
	maxOverdue = 40 * time.Second
)

func (c *Carrier) carrierWide(h wire.Header) {
	switch h.Kind {
	case wire.Ping:
		c.putControl(wire.Header{Kind: wire.Pong, Seq: h.Seq})
	case wire.Pong:
		c.pong()
	case wire.Leave:
		c.leave.Store(true)
		c.table.leaving(c)
	}
}

// Ping sends a Ping; its answer updates RTT.
func (c *Carrier) Ping() {
	if c.pinged.CompareAndSwap(0, time.Now().UnixNano()) {
		c.putControl(wire.Header{Kind: wire.Ping})
	}
}

func (c *Carrier) pong() {
	at := c.pinged.Swap(0)
	if at == 0 {
		return
	}
	took := time.Now().UnixNano() - at
	if took <= 0 { // the clock was set back
		return
	}
	if old := c.rtt.Load(); old == 0 || took < old {
		c.rtt.Store(took)
	}
}

// RTT is the shortest round trip seen, 0 if none was measured yet.
func (c *Carrier) RTT() time.Duration { return time.Duration(c.rtt.Load()) }

// Quiet is for how long nothing has come.
func (c *Carrier) Quiet(now time.Time) time.Duration {
	quiet := now.UnixNano() - c.lastRx.Load()
	if quiet < 0 { // the clock was set back
		c.lastRx.Store(now.UnixNano())
		return 0
	}
	return time.Duration(quiet)
}

// Check is the client's keep-alive, to be called every CheckEvery: it pings when
// it is time to and ends the carrier when an answer stays out.
func (c *Carrier) Check(now time.Time) {
	quiet, wait := c.Quiet(now), c.profile.PongWait
	if at := c.pinged.Load(); at != 0 {
		if now.UnixNano() < at { // the clock was set back
			c.pinged.Store(now.UnixNano())
		} else if now.UnixNano()-at >= int64(wait) && quiet >= wait {
			c.fail()
		}
		return
	}
	if c.sock.Overdue(now) > askOverdue {
		c.Ping()
		return
	}
	c.keep(now)
	limit := pingIdle
	if now.Sub(c.table.Active()) < activeFor {
		limit = pingActive
	}
	if quiet >= limit {
		c.ask()
	}
}

// ask is a Ping, or less if that suffices.
func (c *Carrier) ask() {
	if !c.profile.AsksEdge {
		c.Ping()
		return
	}
	if !c.probing.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer c.probing.Store(false)
		if c.sock.Probe() == nil {
			c.lastRx.Store(time.Now().UnixNano())
		} else if c.Quiet(time.Now()) >= transport.ProbeLimit {
			c.fail()
		}
	}()
}

// keep sends what needs no answer when nothing else was sent for long.
func (c *Carrier) keep(now time.Time) {
	every, idle := c.profile.Keep, time.Duration(now.UnixNano()-c.lastTx.Load())
	if every > 0 && (idle >= every || idle < 0) { // below 0 the clock was set back
		c.putControl(wire.Header{Kind: wire.Pong})
	}
}

// Heard reports whether the peer has said anything at all.
func (c *Carrier) Heard() bool { return c.heard.Load() }

// Leave tells the client to attach its tunnels elsewhere.
func (c *Carrier) Leave() { c.putControl(wire.Header{Kind: wire.Leave}) }

// Retire marks a carrier for which its end has found another.
func (c *Carrier) Retire() { c.leave.Store(true) }

// Leaving reports whether the peer asked to attach elsewhere, or Retire was
// called.
func (c *Carrier) Leaving() bool { return c.leave.Load() }
