package transport

import (
	"cmp"
	"net"
	"sync"
	"sync/atomic"

	"culvert/internal/netpoll"
)

// gatherer keeps what is written between begin and end, and writes it in as few
// pieces as it can. What is written outside of the two passes at once.
type gatherer struct {
	net.Conn
	piece    int    // bytes that are written at once, at most gatherSize; tlsRecord where there is a cork
	progress func() // told of each whole piece that was written, and not gathered by cork; or nil
	cork     *Cork  // beneath TLS, or nil

	mu     sync.Mutex  // held across Conn.Write: it is the order of writes
	held   atomic.Bool // begin was called, and end has not written all; changed under mu
	corked bool        // the cork gathers what is written
	buf    []byte
}

// gatherSize holds a message of the largest size as TLS records.
const gatherSize = 68 << 10

var (
	gathered = sync.Pool{New: func() any { return new([gatherSize]byte) }}
	records  = sync.Pool{New: func() any { return new([tlsRecord]byte) }}
)

// lend has g gather in a buffer of a pool.
func (g *gatherer) lend() {
	switch {
	case g.buf != nil:
	case g.piece == tlsRecord:
		g.buf = records.Get().(*[tlsRecord]byte)[:0]
	default:
		g.buf = gathered.Get().(*[gatherSize]byte)[:0]
	}
}

// release gives the buffer back.
func (g *gatherer) release() {
	switch cap(g.buf) {
	case gatherSize:
		gathered.Put((*[gatherSize]byte)(g.buf[:gatherSize]))
	case tlsRecord:
		records.Put((*[tlsRecord]byte)(g.buf[:tlsRecord]))
	}
	g.buf = nil
}

// Write passes p on, or keeps it until end.
func (g *gatherer) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.held.Load() {
		return g.Conn.Write(p)
	}
	g.lend()
	for rest := p; len(rest) > 0; {
		n := min(len(rest), g.piece-len(g.buf))
		g.buf = append(g.buf, rest[:n]...)
		rest = rest[n:]
		if len(g.buf) < g.piece {
			break
		}
		g.gather()
		if err := g.flush(); err != nil {
			return 0, err
		}
		if g.progress != nil && !g.corked {
			g.progress()
		}
	}
	return len(p), nil
}

func (g *gatherer) begin() {
	g.mu.Lock()
	g.held.Store(true)
	g.mu.Unlock()
}

// end writes what was kept since begin.
func (g *gatherer) end() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.held.Store(false)
	defer g.release()
	err := g.flush()
	if g.corked {
		g.corked = false
		return cmp.Or(err, g.cork.end())
	}
	return err
}

// gather has the cork gather what is written until end, as it is more than one record. g.mu is held.
func (g *gatherer) gather() {
	if g.cork != nil && !g.corked {
		g.corked = true
		g.cork.begin()
	}
}

// flush writes what is kept. g.mu is held.
func (g *gatherer) flush() error {
	b := g.buf
	g.buf = b[:0]
	if len(b) == 0 {
		return nil
	}
	_, err := g.Conn.Write(b)
	return err
}

// tlsRecord is the most plaintext in one TLS record (RFC 8446, section 5.1).
const tlsRecord = 16 << 10

// messageWriter stands between coder/websocket and TLS or TCP. The library's client
// flushes a message in pieces of 4 KiB, each a TLS record and a system call; a
// messageWriter writes a whole message at once, or, where a Cork gathers beneath TLS, a
// full record at a time, which the processor's nearest cache still holds when it is
// sealed. The library's own pings, pongs and closes come outside of a message.
type messageWriter struct {
	gatherer
	first []byte           // read with the upgrade's answer, or into ahead, to be read before the rest
	ahead *[doorAhead]byte // lent by the pool while it holds what first is; nil: it does not
	lends bool             // what is read in small pieces is read ahead
}

// pieceSize is a message of one full record with its WebSocket header.
const pieceSize = 64 << 10

func newMessageWriter(c net.Conn) *messageWriter {
	w := &messageWriter{gatherer: gatherer{Conn: c, piece: pieceSize}}
	if t := netpoll.Beneath(c); t != c { // c is TLS
		w.cork, _ = t.(*Cork)
	}
	if w.cork != nil {
		w.piece = tlsRecord
	}
	return w
}

// watch has progress called whenever bytes have come, even of a part of a TLS
// record, or a whole piece was written: on a slow link a message takes long.
func (w *messageWriter) watch(progress func()) {
	w.progress = progress
	if w.cork != nil {
		w.cork.came = progress
	}
}

// Read reads into a buffer of the pool where p is small: the library's own, kept for good, would cost an idle
// client more than its tunnel does.
func (w *messageWriter) Read(p []byte) (int, error) {
	if len(w.first) == 0 {
		if !w.lends || len(p) >= doorAhead {
			return w.Conn.Read(p)
		}
		if err := w.readAhead(); err != nil {
			return 0, err
		}
	}
	n := copy(p, w.first)
	if w.first = w.first[n:]; len(w.first) == 0 {
		w.first = nil
		w.giveBack()
	}
	return n, nil
}

var aheads = sync.Pool{New: func() any { return new([doorAhead]byte) }}

func (w *messageWriter) readAhead() error {
	w.ahead = aheads.Get().(*[doorAhead]byte)
	n, err := w.Conn.Read(w.ahead[:])
	if n == 0 {
		w.giveBack()
		return err
	}
	w.first = w.ahead[:n]
	return nil // an error comes again
}

func (w *messageWriter) giveBack() {
	if w.ahead != nil {
		aheads.Put(w.ahead)
		w.ahead = nil
	}
}

// Cork stands between TLS and TCP. crypto/tls hands over every record of
// 16 KiB by a Write of its own; a Cork gathers them between begin and end, so that
// a message of four records costs one system call.
type Cork struct {
	gatherer
	came func() // told of bytes that were read, of more than an alert; or nil
	read atomic.Int64
}

// Brought is how many bytes have come by the connection.
func (c *Cork) Brought() int { return int(c.read.Load()) }

// mostAlert is how long an alert of TLS is at most, by the ciphers that are in use: one says goodbye on a connection on
// which nothing has moved for long.
const mostAlert = 69

// NewCork wraps the conn on which TLS will run.
func NewCork(c net.Conn) *Cork { return &Cork{gatherer: gatherer{Conn: c, piece: gatherSize}} }

func (c *Cork) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	if n > mostAlert && c.came != nil {
		c.came()
	}
	return n, err
}

// Beneath is the connection that c wraps.
func (c *Cork) Beneath() net.Conn { return c.Conn }

// CloseWrite half-closes the connection beneath, if it can.
func (c *Cork) CloseWrite() error { return netpoll.CloseWrite(c.Conn) }

// CorkListener wraps what it accepts in a Cork and prepares the sockets for
// carriers; TLS, if any, goes on top.
type CorkListener struct{ net.Listener }

// Accept waits for the next connection.
func (l CorkListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	netpoll.Tune(c)
	return NewCork(c), nil
}
