package relay

import (
	"net"
	"sync"
	"sync/atomic"
)

// hold stands between coder/websocket and TLS or TCP. The library's client
// flushes a message in pieces of 4 KiB, each a TLS record and a system call;
// a hold gathers a whole message and writes it at once.
type hold struct {
	net.Conn
	cork  *Cork       // beneath TLS, or nil
	first []byte      // read with the upgrade's answer, to be read before the rest
	piece int         // is written at once
	moved func()      // told of each whole piece that was written; or nil
	busy  atomic.Bool // a message is being written

	mu   sync.Mutex // held across Conn.Write: it is the order of writes
	held bool
	buf  []byte
}

// holdSize is a message of one full frame with its WebSocket header.
const holdSize = 64 << 10

var holds = sync.Pool{New: func() any { b := make([]byte, 0, holdSize); return &b }}

func newHold(c net.Conn) *hold {
	h := &hold{Conn: c, piece: holdSize}
	if t, ok := c.(interface{ NetConn() net.Conn }); ok { // *tls.Conn and its like
		h.cork, _ = t.NetConn().(*Cork)
	}
	return h
}

// watch has moved called whenever bytes have come, even of a part of a TLS
// record, or a whole piece was written: on a slow link a message takes long.
func (h *hold) watch(moved func()) {
	h.moved = moved
	if h.cork != nil {
		h.cork.came = moved
	}
}

func (h *hold) Read(p []byte) (int, error) {
	if len(h.first) == 0 {
		return h.Conn.Read(p)
	}
	n := copy(p, h.first)
	h.first = h.first[n:]
	return n, nil
}

// Write keeps p while a message is being put together. The library's own
// pings, pongs and closes come outside of one and pass at once.
func (h *hold) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.held {
		return h.Conn.Write(p)
	}
	if h.buf == nil {
		h.buf = *holds.Get().(*[]byte)
	}
	for rest := p; len(rest) > 0; {
		n := min(len(rest), h.piece-len(h.buf))
		h.buf = append(h.buf, rest[:n]...)
		rest = rest[n:]
		if len(h.buf) < h.piece {
			break
		}
		if err := h.flush(); err != nil {
			return 0, err
		}
		if h.moved != nil {
			h.moved()
		}
	}
	return len(p), nil
}

func (h *hold) begin() {
	h.busy.Store(true)
	h.mu.Lock()
	h.held = true
	h.mu.Unlock()
}

// end writes what was kept since begin.
func (h *hold) end() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.busy.Store(false)
	h.held = false
	err := h.flush()
	if h.buf != nil {
		b := h.buf[:0]
		h.buf = nil
		holds.Put(&b)
	}
	return err
}

func (h *hold) flush() error {
	b := h.buf
	h.buf = h.buf[:0]
	switch {
	case len(b) == 0:
		return nil
	case h.cork == nil || len(b) <= tlsRecord:
		_, err := h.Conn.Write(b)
		return err
	}
	h.cork.cork()
	_, err := h.Conn.Write(b)
	if err2 := h.cork.uncork(); err == nil {
		err = err2
	}
	return err
}

// tlsRecord is the most plaintext in one TLS record (RFC 8446, section 5.1).
const tlsRecord = 16 << 10
