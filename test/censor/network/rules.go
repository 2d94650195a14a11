// Package network is a path between two ends with a censor on it: a forwarder of
// IP packets that delays, limits, loses, drops and resets by rule. The ends are
// TUN devices of two network namespaces, so that the TCP on either side is the
// kernel's and meets the path as it would a real one.
package network

import (
	"net/netip"
	"time"
)

// Rules say what a path does. The zero Rules pass everything at once. They are
// data: they can be written as JSON, drawn at random, and changed on a living path.
type Rules struct {
	Delay    time.Duration // each way
	Up, Down Rate          // from the client, and to it
	Loss     float64       // share of all packets, from 0 to 1

	Freeze  []Freeze
	Hello   []Hello
	Upgrade []Upgrade
	Connect []Connect
	Dead    []netip.Addr  // addresses that nothing reaches and nothing comes from
	Forget  time.Duration // for which a connection may rest; then its packets are dropped, as a NAT does. 0: for ever
}

// Rate is a bottleneck with a queue that drops what comes when it is full.
type Rate struct {
	Bits  int           // a second, of whole IP packets; 0: no limit
	Queue time.Duration // how long the last packet of a full queue waits
}

// An empty address stands for all of them in the rules that follow.

// Freeze drops all packets of a connection, without a reset, as soon as the server
// has sent more than so many bytes of payload, what TLS takes included. The
// packet that exceeds them is the first to be dropped.
type Freeze struct {
	Address netip.Addr
	Bytes   int64
}

// Hello looks at a ClientHello, which may come in several packets, and drops all
// packets of its connection from then on, or resets it.
type Hello struct {
	Address netip.Addr
	Name    string // that it asks for; empty: any, and none
	Longer  int    // only hellos of more bytes than this
	Reset   bool
}

// Upgrade resets a connection some time after its client has asked for something,
// most likely a WebSocket, and is answered. Both are told by the length of what goes by,
// since TLS hides the rest. One that is older than the rule is reset after its next answer.
type Upgrade struct {
	Address netip.Addr
	After   time.Duration
}

// Connect drops the first packet of a new connection when the address has had so
// many within the last minute.
type Connect struct {
	Address   netip.Addr
	PerMinute int
}

// concerns says whether a rule for address is one for a server at addr.
func concerns(address, addr netip.Addr) bool { return !address.IsValid() || address == addr }
