package carrier

import (
	"errors"
	"io"

	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// Cause is why a carrier has ended, as far as this end can tell.
type Cause byte

// These are the causes. Their texts are labels of metrics and what people read.
const (
	EndedHere Cause = 1 + iota // nobody needs it, or this end is ending
	Closed                     // the peer, or what is in between, has closed the connection
	Cut                        // the connection was reset, or failed otherwise
	Silent                     // nothing has come for too long
	Unproven                   // the peer has not proved itself in time
	Lost                       // a message of the gateway door did not come
	Stuck                      // the peer takes nothing any more
	Elsewhere                  // another origin has answered
	Broken                     // something came that breaks the protocol
	causes
)

var causeText = [causes]string{"", "ended here", "closed", "cut", "silent", "unproven", "message lost", "stuck", "elsewhere", "protocol error"}

func (c Cause) String() string {
	if c >= causes {
		return ""
	}
	return causeText[c]
}

// Causes lists all of them.
func Causes() (all []Cause) {
	for c := EndedHere; c < causes; c++ {
		all = append(all, c)
	}
	return all
}

// causesOf says what an error of reading or writing means. All others are the network's.
var causesOf = []struct {
	err   error
	cause Cause
}{
	{session.ErrElsewhere, Elsewhere},
	{transport.ErrLost, Lost}, {ErrMissing, Lost},
	{wire.ErrFrame, Broken}, {transport.ErrMessage, Broken}, {session.ErrOrder, Broken}, {session.ErrMessage, Broken},
	{session.ErrProof, Broken}, {session.ErrRecord, Broken}, {session.ErrBusy, Broken}, {session.ErrSpent, Broken},
	{io.EOF, Closed},
}

func causeOf(err error) Cause {
	for _, known := range causesOf {
		if errors.Is(err, known.err) {
			return known.cause
		}
	}
	return Cut
}

// Cause is why the carrier has ended; 0: it has not.
func (c *Carrier) Cause() Cause { return Cause(c.cause.Load()) }
