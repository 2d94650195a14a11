// Package session is what a client and an origin have agreed on, and their two ends
// of each carrier: which key seals what, who has proved what, and which plain message
// goes before the next record. internal/wire/PROTOCOL.md has the rules and the states.
//
// Nothing here reads a network or a clock, or waits. Whoever writes to a carrier calls
// Head, under the carrier's write lock, before each record or message and then Seal;
// whoever reads gives what Next or Cut has found to Receive or Open.
package session

import (
	"errors"
	"time"
)

// Door is the way by which a carrier leads into the origin.
type Door byte

// The doors.
const (
	Stream  Door = 1 // a WebSocket keeps order
	Gateway Door = 2 // messages come late, twice and in any order
)

const (
	// GenerationLife is how old a generation may be when a client joins by it or
	// turns to it; when it is older the client agrees again.
	GenerationLife = 5 * time.Minute
	// GenerationKept is how old a generation gets before it is erased. What a client
	// says under one may be on its way for as long as the two are apart.
	GenerationKept = 10 * time.Minute
	// ProveWithin is how long a carrier may live that has proved nothing.
	ProveWithin = 30 * time.Second
	// tryAgain is how long one carrier's try to agree inside a record keeps others from it.
	tryAgain = time.Minute
)

// Whoever gets one of these errors ends the carrier, unless its comment says otherwise.
var (
	// ErrOrder means that something came that its state does not name.
	ErrOrder = errors.New("out of turn")
	// ErrMessage means that bytes are no message of this protocol.
	ErrMessage = errors.New("not a message")
	// ErrProof means that a message is not of whom it says, or was used before.
	ErrProof = errors.New("not proved")
	// ErrBusy means that the user has all sessions or agreements that it may.
	ErrBusy = errors.New("the user's share is used up")
	// ErrElsewhere tells a client that another origin has answered. End the carrier, keep
	// the session, and bring the ticket again.
	ErrElsewhere = errors.New("the carrier led to another origin")
	// ErrRecord means that a record does not open.
	ErrRecord = errors.New("not a record of this carrier")
	// ErrRepeated means that a message has come before, or is too old to tell. Ignore it.
	ErrRepeated = errors.New("the message has come before")
	// ErrSpent means that a key has sealed MaxRecords, that there is none, or that a
	// number was used.
	ErrSpent = errors.New("the carrier's key may seal no more")
)

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

var stateNames = [...]string{"waiting", "joining", "agreeing", "unproven", "joined", "answered", "live", "dead"}

func (s State) String() string { return stateNames[s] }
