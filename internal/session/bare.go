package session

import (
	"crypto/hmac"
	"time"

	"culvert/internal/wire"
)

// Export is what the TLS beneath a carrier exports (RFC 8446, section 7.5): the same at both ends if nobody between
// them ends TLS, and at no others.
type Export = func(label string, context []byte, length int) ([]byte, error)

// exportLabel is of ours alone. The context is the carrier's token.
const exportLabel = "EXPORTER-culvert-2"

// How long records of a carrier may be bare, and no longer are read or written: the keys of TLS live as long as its
// connection, so that ends within GenerationKept. A client replaces the carrier after bareLife.
const (
	bareLife = GenerationLife
	bareKept = GenerationKept - time.Minute // what has ended is let go of, and collected, within that
)

// bond is how far the ends of a carrier are in having TLS alone seal its records.
type bond byte

const (
	sealed bond = iota // as all carriers are
	asking             // client: a Bound is to be said
	asked              // it was said; at the origin it has come, once, and TLS is another's
	bound              // a Bare is to be said: at the origin TLS has proved to be the client's, and the client knows that
	barely             // it was said
)

// bareness is what an end knows of that. end.mu guards it, but for what is the writer's or the reader's.
type bareness struct {
	bond bond
	last bool // the writer's: the record at hand is its last that is sealed
	out  bool // the writer's: records are bare
	in   bool // the reader's: likewise

	channel []byte // client: what TLS exports, until it is said
	since   int64  // it is bound, Unix ns: that clock goes on while a phone sleeps
}

// channelOf is what TLS exports for a carrier; nil: nothing that would do.
func (e *end) channelOf(export Export) []byte {
	if export == nil || e.door != Stream {
		return nil
	}
	channel, err := export(exportLabel, e.token[:], wire.BoundLen)
	if err != nil {
		return nil
	}
	return channel
}

// Unseal has the client ask that TLS alone seals the carrier's records from now on, if the origin finds that it is TLS's
// other end. nil: the carrier has no TLS that would do.
func (c *ClientCarrier) Unseal(export Export) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if channel := c.channelOf(export); channel != nil && c.bare.bond == sealed {
		c.bare.bond, c.bare.channel = asking, channel
	}
}

// Word is the frame, Bound or Bare, that the next record is to hold, if one is due. The writer calls it after Head has
// allowed a record that is not early, and seals a record with the frame then.
func (e *end) Word() (f wire.Frame, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch b := &e.bare; {
	case e.state != Live:
	case b.bond == asking:
		f, b.bond, b.channel = wire.Frame{Kind: wire.Bound, Body: b.channel}, asked, nil
		return f, true
	case b.bond == bound:
		b.bond, b.last = barely, true
		return wire.Frame{Kind: wire.Bare}, true
	}
	return f, false
}

// Bind takes a Bound or Bare frame. The reader calls it. What TLS has exported elsewhere changes nothing, so that whoever
// is between learns nothing and breaks nothing. The error is ErrOrder.
func (e *end) Bind(f wire.Frame, export Export, now time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch b := &e.bare; {
	case f.Kind == wire.Bound && e.atOrigin && e.state == Live && b.bond == sealed:
		b.bond = asked // once: what TLS exports takes it long, and a record has room for two thousand
		if channel := e.channelOf(export); channel != nil && hmac.Equal(channel, f.Body) {
			e.bound(now)
		}
		return nil
	case f.Kind == wire.Bare && !e.atOrigin && b.bond == asked:
		e.bound(now)
		e.bareIn()
		return nil
	case f.Kind == wire.Bare && e.atOrigin && b.bond == barely && !b.in:
		e.bareIn()
		return nil
	}
	return e.fail(ErrOrder)
}

// bareIn has the reader take bare records alone from now on. e.mu is held.
func (e *end) bareIn() {
	e.bare.in = true
	for _, k := range e.keys {
		k.forget()
	}
}

// bound notes that each end knows whose the other end of TLS is. e.mu is held.
func (e *end) bound(now time.Time) { e.bare.bond, e.bare.since = bound, now.UnixNano() }

// isBound reports whether the carrier turns to no other generation. e.mu is held.
func (e *end) isBound() bool { return e.bare.bond >= bound }

// Stale reports that a client is to replace the carrier, as TLS has sealed alone for long.
func (c *ClientCarrier) Stale(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isBound() && c.bareFor(now) >= bareLife
}

// Over reports that what TLS has sealed alone must be kept no longer. End the carrier.
func (e *end) Over(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.isBound() && e.bareFor(now) >= bareKept
}

// bareFor is how long; for ever, if the clock was set back. e.mu is held.
func (e *end) bareFor(now time.Time) time.Duration {
	if d := time.Duration(now.UnixNano() - e.bare.since); d >= 0 {
		return d
	}
	return bareKept
}

// noTag stands where a sealed record has its tag.
var noTag [wire.RecordOverhead]byte

// openBare is open where the peer seals no more: a record that is sealed has a tag.
func openBare(record []byte) ([]byte, error) {
	n := len(record) - wire.RecordOverhead
	if [wire.RecordOverhead]byte(record[n:]) != noTag {
		return nil, ErrRecord
	}
	return record[:n], nil
}
