package network

import (
	"net/netip"
	"time"
)

// Flow is what is known of one connection that a client has tried to make.
type Flow struct {
	Client, Server netip.AddrPort
	Began          time.Time // when its first packet came
	Closed         time.Time // when its client, or a reset, has ended it; zero: not yet
	Name           string    // that its ClientHello asks for
	HelloSize      int       // bytes of the ClientHello's record
	Fate           Fate
	Up, Down       Count // what passed
}

// Count is an amount one way.
type Count struct {
	Wire    int64 // bytes of IP packets
	Payload int64 // bytes in TCP, those that came twice included
}

// Fate is what the censor has done to a connection.
type Fate string

const (
	Passed  Fate = ""
	Refused Fate = "refused" // one too many in a minute
	Frozen  Fate = "frozen"
	Dropped Fate = "dropped" // for its ClientHello
	Reset   Fate = "reset"
	Lapsed  Fate = "lapsed" // it rested too long
)

// Handshaken says whether the client got as far as TLS.
func (f Flow) Handshaken() bool { return f.HelloSize > 0 }

// key names a connection while both of its ends know it.
type key struct{ client, server netip.AddrPort }

// flow is a Flow that goes on.
type flow struct {
	Flow
	admitted bool // it is within what may be new in a minute
	hello    hello
	heard    time.Time // when a packet of it passed

	asked    int64     // bytes of the client's since the ClientHello
	upgraded bool      // a rule for upgrades is about to reset it
	next     [2]uint32 // sequence number that follows what passed, of each direction
}

// Bytes after the ClientHello that make a request: a Finished with its record is 74, after
// 6 of ChangeCipherSpec, and an upgrade has several hundred.
const request = 200

// observe notes a packet that passes.
func (f *flow) observe(p packet, d direction, now time.Time) {
	count := &f.Up
	if d == down {
		count = &f.Down
	}
	count.Wire += int64(p.size)
	count.Payload += int64(len(p.payload))
	f.heard = now
	if after := p.after(); f.next[d] == 0 || int32(after-f.next[d]) > 0 {
		f.next[d] = after
	}
	if f.Closed.IsZero() && (p.has(rst) || d == up && p.has(fin)) {
		f.Closed = now
	}
}

// read looks into what the client sends; it says whether the ClientHello is whole
// with this packet.
func (f *flow) read(p packet) bool {
	if len(p.payload) == 0 {
		return false
	}
	if f.hello.done {
		f.asked += int64(len(p.payload))
		return false
	}
	if !f.hello.add(p) {
		return false
	}
	f.Name, f.HelloSize = f.hello.name(), len(f.hello.b)
	f.hello.b = nil
	return true
}
