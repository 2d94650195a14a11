// Package session is what a client and an origin have agreed on, and their two ends of
// each carrier: which key seals what, who has proved what, and which plain message goes
// before the next record. internal/wire/PROTOCOL.md has the rules, layouts and states.
//
// Nothing here reads a network or a clock, or waits. Whoever writes to a carrier calls
// Head, under the carrier's write lock, before each record or message and then Seal;
// whoever reads gives what Next has found to Receive or Open.
package session

import (
	"encoding/binary"
	"errors"
	"time"

	"culvert/internal/seal"
)

// Door is the way by which a carrier leads into the origin.
type Door byte

// The doors.
const (
	Stream  Door = 1 // a WebSocket keeps order
	Gateway Door = 2 // messages come late, twice and in any order
)

// The limits that PROTOCOL.md explains.
const (
	GenerationLife = 5 * time.Minute
	GenerationKept = 10 * time.Minute
	ProveWithin    = 30 * time.Second
	SessionIdle    = 10 * time.Minute
	UserSessions   = 64
	UserUnproven   = 8
	MaxRecords     = 1 << 22 // RFC 9001, appendix B.1: 2^22.5 of 2^16 bytes are an advantage of 2^-57
	WindowSize     = 1024
	maxGenerations = 16
	tryAgain       = time.Minute // how long one carrier's try keeps others from agreeing again
)

// Whoever gets one of these errors ends the carrier, unless its comment says otherwise.
var (
	ErrOrder   = errors.New("out of turn")                        // what came is not named by the carrier's state
	ErrMessage = errors.New("not a message")                      // of this protocol
	ErrProof   = errors.New("not proved")                         // not of whom it says, or used before
	ErrRecord  = errors.New("not a record of this carrier")       // it does not open
	ErrBusy    = errors.New("the user's share is used up")        // of sessions or agreements
	ErrSpent   = errors.New("the carrier's key may seal no more") // or there is none, or the number was used

	// ErrElsewhere tells a client that another origin has answered. End the carrier, keep
	// the session, and bring the ticket again.
	ErrElsewhere = errors.New("the carrier led to another origin")
	// ErrRepeated means that a message has come before, or is too old to tell. Ignore it.
	ErrRepeated = errors.New("the message has come before")
)

// shapeOf is what carriers look as they do by, to who sees sizes and times: a user's by a front, in an epoch.
func shapeOf(p *seal.Pair, front string, epoch uint64) [32]byte {
	return [32]byte(p.MAC("culvert 2 shape", binary.BigEndian.AppendUint64(nil, epoch), []byte(front)))
}

// Event is what Receive asks of its caller, as bits.
type Event byte

const (
	// Speak asks for a call of Head now, even if no record is to be sent.
	Speak Event = 1 << iota
	// Restarted says that the origin has forgotten the session, and a new one has
	// begun. Reset all tunnels of it.
	Restarted
)

// State is a carrier's.
type State byte

// The states of a carrier: three at the client, three at the origin, two at both.
const (
	Waiting  State = iota // client: nothing sent
	Joining               // client: Join sent
	Agreeing              // client: Agree sent
	Unproven              // origin: what comes is dropped until a Join or an Agree
	Joined                // origin: Join came; nothing is sealed
	Answered              // origin: Agree came
	Live                  // the peer has proved itself
	Dead                  // what came was out of turn or not proved
)
