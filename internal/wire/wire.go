// Package wire is what two processes must agree on: the layout of a frame,
// limits, services, paths, and the token that opens the gate. PROTOCOL.md
// holds the rules in words and changes in the same commit as this package.
package wire

import "time"

// RecordHead is the length of a record's length, at the stream door.
const RecordHead = 2

// RecordOverhead is the tag that sealing adds to a record.
const RecordOverhead = 16

// MaxRecord bounds a record with its length and tag at the stream door. As one masked
// WebSocket message (8 bytes of WebSocket header) it fits four TLS records of 16,384
// bytes. Records at the gateway door are messages: see MaxTextBody.
const MaxRecord = 64<<10 - 8

// MaxMessage bounds one WebSocket message: whole records and plain messages.
const MaxMessage = 128 << 10

// MaxEarly bounds the bytes of the stream that ride in an Open frame.
const MaxEarly = 16 << 10

// MaxEarlyOpens bounds the Open frames in the early records of a carrier. A client has
// others wait for Agreed: an origin refuses them, as a first flight may be a copy.
const MaxEarlyOpens = 8

// FirstWindow is how far either end may send before it has heard of the
// peer's window: the position in the stream that it may not pass. Half of it
// costs a fast path an eighth of its speed; twice as much, with eight readers
// that stand still, is more than 16 MB.
const FirstWindow = 512 << 10

// MaxWindow bounds a window. At 150 ms of round trip it allows 440 MB/s.
const MaxWindow = 64 << 20

// HoldTunnel is how long an end keeps a tunnel that has no carrier.
const HoldTunnel = 3 * time.Minute

// DoorPath is where the stream door listens unless a link says otherwise; a
// link's path wins, as the origin answers on every path.
const DoorPath = "/"

// TokenCookie is the cookie that holds the token: CloudFront drops
// Authorization headers and passes cookies on.
const TokenCookie = "session"

// TicketCookie is the cookie that holds a ticket: the origin sets it in its
// answer at the stream door, and the client brings it with its next request.
const TicketCookie = "ticket"

// TokenLife is how far a token's time may be from the verifier's, either way.
const TokenLife = 5 * time.Minute
