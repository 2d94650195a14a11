package guise

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"

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
	return &frames{Conn: c, ended: make(chan struct{}), came: []byte{}, headers: fields{decoder: hpack.NewDecoder(tableSize, nil), left: map[uint32]int64{}}}
}

// frames is a connection that speaks HTTP/2, beneath which TLS is. What net/http writes leaves as nginx would
// have written it, as far as that shows: the settings at the beginning, and the fields of answers, their order,
// and how they are coded.
type frames struct {
	net.Conn
	once  sync.Once
	ended chan struct{}

	came     []byte      // the reader's: the client's first bytes; nil: they were looked at
	setsSize atomic.Bool // the client has said how large its table is

	// The writer's.
	written []byte // of frames that are not whole yet
	greeted int    // how many of the frames that begin a connection have gone
	headers fields
}

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
	dataFrame, headersFrame, resetFrame, settingsFrame, windowFrame, continuationFrame = 0, 1, 3, 4, 8, 9

	isAck, endsStream, endsHeaders = 1, 1, 4
)

// greeting is what nginx sends in the place of net/http's settings and of the window that net/http opens: 128
// streams, 64 KiB for each, frames of 16 MiB. Nobody sends so much of a request to a website; whoever does is cut
// off.
var greeting = "\x00\x00\x12\x04\x00\x00\x00\x00\x00" + "\x00\x03\x00\x00\x00\x80" + "\x00\x04\x00\x01\x00\x00" + "\x00\x05\x00\xff\xff\xff" +
	"\x00\x00\x04\x08\x00\x00\x00\x00\x00" + "\x7f\xff\x00\x00"

// Read looks at the client's settings, which come first.
func (f *frames) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	if f.came != nil {
		f.came = append(f.came, b[:n]...)
		if settings, whole := firstSettings(f.came); whole {
			f.setsSize.Store(settings)
			f.came = nil
		}
	}
	return n, err
}

// firstSettings reports whether the first frame, behind the preface, sets the size of the table of headers.
// whole is false as long as that is not to be seen.
func firstSettings(b []byte) (sets, whole bool) {
	const preface = len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	if len(b) < preface+frameHead {
		return false, false
	}
	b = b[preface:]
	size := min(payload(b), 256)
	if len(b) < frameHead+size {
		return false, false
	}
	for b = b[frameHead : frameHead+size]; len(b) >= 6; b = b[6:] {
		sets = sets || b[0] == 0 && b[1] == 1
	}
	return sets, true
}

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
	return len(b), nil
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
		return f.headers.rewrite(out, frame, f.setsSize.Load())
	case kind == resetFrame:
		delete(f.headers.left, streamOf(frame))
	case kind == dataFrame && f.headers.finish(frame):
		return out, nil
	}
	return append(out, frame...), nil
}

func streamOf(frame []byte) uint32 { return binary.BigEndian.Uint32(frame[5:frameHead]) }
