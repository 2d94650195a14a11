package origin

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// passage is a carrier that another origin serves: bytes go through as they
// are. It ends when both directions have, or when one has failed.
type passage struct {
	near, far net.Conn
	going     atomic.Int32 // directions
	ended     func()
}

// idlePassage ends one that moves nothing. Carriers say something every half
// minute.
const idlePassage = 3 * time.Minute

// start passes bytes on in two goroutines. They begin with what was read ahead
// from either end.
func (p *passage) start(fromNear, fromFar []byte) {
	p.going.Store(2)
	go p.pass(p.far, p.near, fromNear)
	go p.pass(p.near, p.far, fromFar)
}

func (p *passage) pass(dst, src net.Conn, ahead []byte) {
	err := write(dst, ahead)
	if err == nil {
		err = copyAll(dst, src)
	}
	if err != io.EOF || closeWrite(dst) != nil {
		p.close()
	}
	if p.going.Add(-1) == 0 {
		p.close()
		p.ended()
	}
}

func (p *passage) close() {
	p.near.Close()
	p.far.Close()
}

func closeWrite(c net.Conn) error {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return errors.ErrUnsupported
}

type passBuffer [64 << 10]byte

var passBuffers = sync.Pool{New: func() any { return new(passBuffer) }}

// copyAll returns why it ended: io.EOF, or what failed.
func copyAll(dst, src net.Conn) error {
	next := reader(src)
	for {
		if err := src.SetReadDeadline(time.Now().Add(idlePassage)); err != nil {
			return err
		}
		b, n, err := next()
		if err == nil {
			err = write(dst, b[:n])
		}
		if b != nil {
			passBuffers.Put(b)
		}
		if err != nil {
			return err
		}
	}
}

// plainReader holds a buffer while it waits.
func plainReader(src net.Conn) func() (*passBuffer, int, error) {
	return func() (*passBuffer, int, error) {
		b := passBuffers.Get().(*passBuffer)
		n, err := src.Read(b[:])
		if n > 0 {
			err = nil // it comes again
		}
		return b, n, err
	}
}

func write(dst net.Conn, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if err := dst.SetWriteDeadline(time.Now().Add(idlePassage)); err != nil {
		return err
	}
	_, err := dst.Write(b)
	return err
}
