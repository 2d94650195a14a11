package guise

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"
)

// second is the listener of connections that have agreed on HTTP/2.
type second struct {
	addr   net.Addr
	come   chan *frames
	once   sync.Once
	closed chan struct{}
}

// Accept waits for the next connection.
func (s *second) Accept() (net.Conn, error) {
	select {
	case c := <-s.come:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. What was accepted goes on.
func (s *second) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// Addr is that of the first listener.
func (s *second) Addr() net.Addr { return s.addr }

// serve hands c over, and waits until it has ended. It returns io.EOF.
func (s *second) serve(c net.Conn) error {
	f := newFrames(c)
	select {
	case s.come <- f:
		<-f.ended
	case <-s.closed:
	}
	return io.EOF
}

func newFrames(c net.Conn) *frames {
	return &frames{Conn: c, ended: make(chan struct{}), requests: newRequests(c),
		headers: fields{decoder: hpack.NewDecoder(tableSize, nil), left: map[uint32]int64{}}}
}

// frames is a connection that speaks HTTP/2, beneath which TLS is. What net/http reads is what nginx would look at, and
// what it writes leaves as nginx would have written it, as far as that shows: the settings at the beginning, the fields
// of answers, their order and how they are coded, and how a connection ends.
type frames struct {
	net.Conn
	once  sync.Once
	ended chan struct{}

	requests *requests

	// The writer's.
	written []byte // of frames that are not whole yet
	greeted int    // how many of the frames that begin a connection have gone
	agreed  bool   // the client's settings were acknowledged
	goodbye []byte // waits for that
	gone    bool   // a goodbye was said
	headers fields
}

// Read is for net/http.
func (f *frames) Read(b []byte) (int, error) { return f.requests.Read(b) }

// NetConn is the connection beneath TLS.
func (f *frames) NetConn() net.Conn { return f.Conn.(interface{ NetConn() net.Conn }).NetConn() }

// Close may be called more than once.
func (f *frames) Close() error {
	f.once.Do(func() { close(f.ended) })
	return f.Conn.Close()
}

// frameHead is the length of what is before a frame's payload (RFC 9113, section 4.1).
const frameHead = 9

// The types and flags of frames that are looked at.
const (
	dataFrame, headersFrame, resetFrame, settingsFrame, goAwayFrame, windowFrame, continuationFrame = 0, 1, 3, 4, 7, 8, 9

	isAck, endsStream, endsHeaders, isPadded, hasPriority = 1, 1, 4, 8, 32
)

// greeting is what nginx sends in the place of net/http's settings and of the window that net/http opens: 128
// streams, 64 KiB for each, frames of 16 MiB. Nobody sends so much of a request to a website; whoever does is cut
// off.
var greeting = "\x00\x00\x12\x04\x00\x00\x00\x00\x00" + "\x00\x03\x00\x00\x00\x80" + "\x00\x04\x00\x01\x00\x00" + "\x00\x05\x00\xff\xff\xff" +
	"\x00\x00\x04\x08\x00\x00\x00\x00\x00" + "\x7f\xff\x00\x00"

func payload(frame []byte) int { return int(frame[0])<<16 | int(frame[1])<<8 | int(frame[2]) }

// Write takes what net/http writes, and keeps what is no whole frame yet: 16 KiB at most.
func (f *frames) Write(b []byte) (int, error) {
	f.written = append(f.written, b...)
	var out []byte
	for len(f.written) >= frameHead && len(f.written) >= frameHead+payload(f.written) {
		end := frameHead + payload(f.written)
		var err error
		if out, err = f.rewrite(out, f.written[:end]); err != nil {
			return 0, err
		}
		f.written = f.written[end:]
	}
	if len(f.written) == 0 {
		f.written = nil
	}
	if len(out) > 0 {
		if _, err := f.Conn.Write(out); err != nil {
			return 0, err
		}
	}
	if f.gone && f.goodbye == nil {
		f.leave()
	}
	return len(b), nil
}

// leave ends the connection behind a goodbye that says why, at once, as nginx does: net/http would wait a second.
func (f *frames) leave() {
	if half, ok := f.Conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	f.Conn.SetReadDeadline(time.Now().Add(lingering))
}

// rewrite appends to out what goes in the place of a frame.
func (f *frames) rewrite(out, frame []byte) ([]byte, error) {
	kind, flags := frame[3], frame[4]
	switch {
	case kind == settingsFrame && flags&isAck == 0 && f.greeted == 0:
		f.greeted = 1
		return append(out, greeting...), nil
	case kind == windowFrame && f.greeted == 1:
		f.greeted = 2
		return out, nil // it is in greeting
	case kind == headersFrame || kind == continuationFrame:
		return f.headers.rewrite(out, frame, f.requests.sets.Load())
	case kind == settingsFrame && flags&isAck != 0 && !f.agreed:
		out = append(append(out, frame...), f.goodbye...)
		f.agreed, f.goodbye = true, nil
		return out, nil
	case kind == goAwayFrame && payload(frame) >= 8:
		return f.goAway(out, frame), nil
	case kind == resetFrame:
		delete(f.headers.left, streamOf(frame))
	case kind == dataFrame && f.headers.finish(frame):
		return out, nil
	}
	return append(out, frame...), nil
}

// goAway appends a goodbye, which follows the client's settings: nginx has read them before it finds a fault.
func (f *frames) goAway(out, frame []byte) []byte {
	code := binary.BigEndian.Uint32(frame[frameHead+4:])
	if code == 0 {
		return append(out, frame...)
	}
	if own := f.requests.code.Load(); own != 0 {
		code = own
	}
	said := append([]byte{0, 0, 8}, frame[3:frameHead]...)
	said = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(said, f.requests.last.Load()), code)
	f.gone = true
	if !f.agreed && f.requests.agrees.Load() {
		f.goodbye = said
		return out
	}
	return append(out, said...)
}

// streamOf is the number of a frame's stream, without the bit that means nothing.
func streamOf(frame []byte) uint32 { return binary.BigEndian.Uint32(frame[5:frameHead]) & (1<<31 - 1) }
