package relay

import (
	"time"

	"culvert/internal/wire"
)

// manner is how a carrier behaves at its door.
type manner struct {
	frame    int           // the size of a bulk frame; 0: learned from how long writing takes
	minRoom  uint64        // the least room for which bytes are read while others are on their way: no slivers of frames
	bulk     uint64        // a tunnel that has moved so many bytes, either way, is bulk
	gather   time.Duration // how long a read of bulk waits to fill a frame
	ackDelay time.Duration // how long an ack waits for a frame to ride on
	ackAfter uint64        // part of a window after which one is sent at once
	growAt   uint64        // part of a window after which it may grow
	grow     time.Duration // if that was used up within so many of the shortest round trips
	pongWait time.Duration // how long the client waits for a Pong
	keep     time.Duration // the client sends something that often; 0: Pings suffice
	silent   time.Duration // the origin ends a carrier on which nothing came for so long
}

func (m *manner) delay(soon bool) time.Duration {
	if soon {
		return min(m.ackDelay, ackSoon)
	}
	return m.ackDelay
}

// ackDelay at the stream door bounds how long a sender keeps small frames, and
// is no part of any round trip.
const ackDelay = 25 * time.Millisecond

// ackSoon is when an ack is due of more than soonAfter: the sender should not
// keep it, and may not have room beside it for a full frame.
const (
	ackSoon   = time.Second
	soonAfter = firstCredit / 8
)

var streamManner = &manner{
	minRoom:  16 << 10,
	bulk:     512 << 10,
	ackDelay: ackDelay,
	ackAfter: 4,
	growAt:   1,
	grow:     2, // a window that is used up in one trip limits
	pongWait: 4 * time.Second,
	silent:   90 * time.Second,
}

// textManner is for messages that are paid for. Acks wait until something else
// is sent, longer than an app's keep-alive (285 s at most): they are for the
// sender's memory alone. API Gateway closes what was idle for 10 minutes, and
// whether WebSocket pings count is not said.
var textManner = &manner{
	frame:    wire.TextFrame,
	minRoom:  wire.TextFrame - wire.HeaderLen - wire.Overhead,
	bulk:     1536 << 10, // another carrier costs eight messages
	gather:   30 * time.Millisecond,
	ackDelay: 5 * time.Minute,
	ackAfter: 2,
	growAt:   2,                // fewer acks
	grow:     8,                // round trips differ by much
	pongWait: 10 * time.Second, // a function that starts, in a VPC, may take seconds
	keep:     9 * time.Minute,
	silent:   12 * time.Minute,
}

// texty is a Socket of the gateway door.
type texty interface{ text() }

func mannerOf(s Socket) *manner {
	if _, ok := s.(texty); ok {
		return textManner
	}
	return streamManner
}

// prober is a Socket that can ask the edge alone whether it is there: WebSocket
// pings cost nothing.
type prober interface{ Probe() error }

// watched is a Socket whose messages take long on a slow link.
type watched interface {
	watch(moved func()) // to be called before the first message
}

// doubter is a Socket on which a message may be lost while it lives.
type doubter interface {
	// Doubt is for how long a message has been missing, 0 if none is.
	Doubt(now time.Time) time.Duration
}

// A function has 29 s to hand a message on, so one that is missing for longer
// is lost. A client asks before.
const (
	askInDoubt = 15 * time.Second
	maxDoubt   = 40 * time.Second
)

func (c *Carrier) doubt(now time.Time) time.Duration {
	if d, ok := c.sock.(doubter); ok {
		return d.Doubt(now)
	}
	return 0
}
