// Package transport carries messages between two processes: by a binary WebSocket at
// the stream door, by a text WebSocket at the client's side of the gateway door, and by
// POSTs at the origin's. A transport knows nothing of what messages are for: carriers use
// it.
package transport

import (
	"errors"
	"io"
	"time"

	"culvert/internal/netpoll"
	"culvert/internal/tasks"
	"culvert/internal/wire"
)

// Transport carries messages to one peer and from it until it is closed or fails.
//
// A message of the stream door is whole records and plain messages, at most
// wire.MaxMessage bytes. One of the gateway door is the body of a text message, as bytes:
// its number, a plain message and a record, at most wire.MaxTextBody bytes; the transport
// adds letter, token and ticket, and codes the body as text. There a message may come
// late, twice or never.
//
// Start is called once, before all others but Close and Profile. NextMessage,
// what it returns, and Park are for one goroutine at a time, and so is
// WriteMessage; the two may run at once. All other methods are for any goroutine
// at any time.
//
// An error of NextMessage or WriteMessage is final: the peer has closed, the
// network has failed, or something came that is no message. The caller closes
// the transport.
type Transport interface {
	// Start says who uses the transport.
	Start(Owner)
	// NextMessage waits for a message. It is to be read to its EOF before the
	// next. What it holds may be empty.
	NextMessage() (io.Reader, error)
	// Park has resume called, in a goroutine of its own, when there is a message
	// to read or the transport has been closed. It returns false, and calls
	// nothing, if it cannot wait without a goroutine or if there is something to
	// read now: then the caller calls NextMessage.
	Park(resume func()) bool
	// WriteMessage sends b as one message, and returns when the next may be sent. It
	// must not keep b.
	WriteMessage(b []byte) error
	// Ahead reports whether the peer's first message has come with the transport.
	Ahead() bool
	// Probe asks the edge alone, not the peer, whether it is there, and waits for
	// the answer for ProbeLimit at most. It is for transports whose Profile has
	// AsksEdge.
	Probe() error
	// Lag is for how long the largest messages lately took to come in, about: on a
	// slow link others are on their way before what the peer says now. It is 0 where
	// no message is ever missed.
	Lag() time.Duration
	// Unread reports whether something has come that was not read yet: then it is not the
	// peer who is late. It is false where that is not known.
	Unread() bool
	// Profile is that of the transport's door.
	Profile() *Profile
	// Close ends the transport at once, without a goodbye, and with it all calls
	// of NextMessage and WriteMessage that wait. It may be called more than once.
	Close() error
}

// Owner is what a Transport needs from its user.
type Owner struct {
	Tasks    *tasks.Group            // runs the transport's goroutines, which end with Close
	Poller   *netpoll.Poller         // where the transport may wait for messages
	Progress func()                  // told whenever bytes have moved, also of a part of a message; nil: nobody wants to know
	Deliver  func(body []byte) error // takes messages that NextMessage does not bring, from any goroutine; it may change body, and must not keep it
}

// ErrMessage means that the peer sent something that is not a binary message.
var ErrMessage = errors.New("not a binary message")

// ErrLost means that API Gateway said something itself: a message was not
// handed on.
var ErrLost = errors.New("the gateway has lost a message")

// ProbeLimit bounds the answer to a Probe.
const ProbeLimit = 8 * time.Second

// SmallFrame is the size of what passes ahead of bulk: chat, and frames without bytes of a
// stream.
const SmallFrame = 4 << 10

// Profile is what carriers and tunnels should know of a door: what a message
// costs there, and how long its answer takes.
type Profile struct {
	Messages bool          // a message holds one record and a number, and may come late, twice or never
	MinRoom  uint64        // the least room for which bytes are read while others are on their way: no slivers of frames
	Bulk     uint64        // a tunnel that has moved so many bytes, either way, is bulk
	AckDelay time.Duration // how long an ack waits for a frame to ride on
	AckMuch  uint64        // bytes written of which an ack is one of much
	AckSoon  time.Duration // how long an ack of much waits: the sender should not keep that, and may not have room beside it for a full frame
	AckFirst time.Duration // how long an origin's first ack of a tunnel waits for WhatsApp's answer: some of what the app says waits for it
	AckAfter uint64        // the part of a window after which an ack is sent at once
	GrowAt   uint64        // the part of a window after which it may grow
	Grow     time.Duration // a window grows if that part was used up within so many of the shortest round trips
	PongWait time.Duration // how long the client waits for a Pong
	Keep     time.Duration // the client sends something that often; 0: Pings suffice
	Silent   time.Duration // the origin ends a carrier on which nothing came for so long
	Paid     bool          // messages are paid for: acks ride with whatever is sent
	AsksEdge bool          // the client asks the edge alone, by Probe, which costs nothing
	Unproven bool          // that a transport connected does not prove that the origin is there
}

// streamProfile is the stream door's. Its ack delays bound how long a sender keeps small frames, and how long it waits for
// what shows that the peer is there. They are no part of any round trip, and carriers shorten them by chance.
var streamProfile = &Profile{
	MinRoom:  16 << 10,
	Bulk:     512 << 10,
	AckDelay: 450 * time.Millisecond,
	AckMuch:  1 << 10,
	AckSoon:  25 * time.Millisecond,
	AckFirst: 25 * time.Millisecond,
	AckAfter: 4,
	GrowAt:   2,
	Grow:     1, // a window of which half is used up in one trip limits
	PongWait: 4 * time.Second,
	Silent:   90 * time.Second,
}

// gatewayProfile is the gateway door's, for messages that are paid for. Acks wait
// until something else is sent, longer than an app's keep-alive (285 s at most):
// they are for the sender's memory alone. API Gateway closes what was idle for
// 10 minutes, and whether WebSocket pings count is not said.
var gatewayProfile = &Profile{
	Messages: true,
	MinRoom:  wire.MaxTextBody / 2,
	Bulk:     1536 << 10, // another carrier costs eight messages
	AckDelay: 5 * time.Minute,
	AckMuch:  8 << 10,
	AckSoon:  time.Second,
	AckFirst: 250 * time.Millisecond,
	AckAfter: 2,
	GrowAt:   2,                              // fewer acks
	Grow:     8,                              // round trips differ by much
	PongWait: 10 * time.Second,               // a function that starts, in a VPC, may take seconds
	Keep:     9*time.Minute + 30*time.Second, // API Gateway ends what is idle for 10
	Silent:   12 * time.Minute,
	Paid:     true,
	AsksEdge: true,
	Unproven: true,
}

// StreamProfile is that of the stream door, and of tunnels without a carrier.
func StreamProfile() *Profile { return streamProfile }

// GatewayProfile is that of the gateway door, for tests of other packages.
func GatewayProfile() *Profile { return gatewayProfile }
