package relay

import (
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// frame is a sealed frame from when it is made until the peer has acked it.
type frame struct {
	buf     []byte // [an Accept frame] header payload
	head    int    // where the header is in buf
	kind    wire.Kind
	seq     uint64   // position of the payload's first byte
	end     uint64   // position after its last; a Fin takes one position
	by      *Carrier // who took it last; nil: nobody yet, or one that failed
	writing int      // carriers that read buf at this moment
	acked   bool     // not in unacked any more; whoever stops writing gives buf back
}

// sent reports whether the frame is on its way through a carrier that lives.
func (f *frame) sent() bool { return f.by != nil && !f.by.dead.Load() }

// bulk frames give way to small ones.
func (f *frame) bulk() bool { return len(f.buf) > transport.SmallFrame }

// release gives the buffer back once nobody needs it. Tunnel.mu must be held.
func (f *frame) release() {
	if f.acked && f.writing == 0 && f.buf != nil {
		transport.PutBuffer(f.buf)
		f.buf = nil
	}
}

// newControl makes a frame without payload.
func newControl(h wire.Header) [wire.HeaderLen]byte {
	var b [wire.HeaderLen]byte
	wire.Put(b[:], h)
	return b
}
