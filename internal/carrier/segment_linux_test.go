package carrier

import (
	"net"
	"testing"
	"testing/synctest"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// A message of bulk, with its WebSocket header, in TLS, is one segment for the loopback interface of this system. What a
// sender should have for one fills it to within what stands beside that.
func TestAMessageOfBulkIsOneSegment(t *testing.T) {
	t.Parallel()
	longest, least := 0, 0
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.StreamProfile())
		c, _ := newOver(d)
		d.peer = nil
		c.mu.Lock()
		c.out.confirmed = 1 << 20
		c.mu.Unlock()
		room := c.recordRoom(0)
		full := wire.Frame{Kind: wire.Data, Tunnel: 1, Body: make([]byte, FullData)}
		ack := wire.Frame{Kind: wire.Ack, Tunnel: 1}
		use := wire.Frame{Kind: wire.Use, Tunnel: 1}
		least = room - len(full.Append(ack.Append(use.Append(nil))))
		longest = messageHead + wire.RecordHead + room + wire.RecordOverhead
	})
	if least < 0 || least > 64 {
		t.Errorf("FullData, an ack and a Use leave %d bytes, want 0 to 64", least)
	}
	const record, around = 16 << 10, 5 + 1 + 16 // of TLS (RFC 8446, section 5.2)
	longest += (longest + record - 1) / record * around
	if most := segment(t); longest > most {
		t.Errorf("a message of bulk takes %d bytes, where a segment has %d at most", longest, most)
	}
}

// segment is the most that a segment of a loopback interface has over IPv6, with time stamps (RFC 7323).
func segment(t *testing.T) int {
	all, err := net.Interfaces()
	if err != nil {
		t.Skip(err)
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 && i.MTU >= 65536 {
			return 65536 - 40 - 20 - 12
		}
	}
	t.Skip("there is no loopback interface of the usual size")
	return 0
}
