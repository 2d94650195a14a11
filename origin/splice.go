package origin

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"time"

	"culvert/internal/netpoll"
	"culvert/internal/tasks"
	"culvert/internal/transport"
)

// splice joins two connections, a client's and an owner's, whose bytes go through as
// they are. It ends when both directions have ended, or when one has failed.
type splice struct {
	near, far net.Conn
	under     atomic.Int32 // directions under way
	ended     func()
}

// idleSplice is how long a splice may move nothing. Carriers say something every
// half minute.
const idleSplice = 3 * time.Minute

// start passes bytes on in two of by's goroutines, which begin with what was read
// ahead from either end. The splice ends with ctx.
func (s *splice) start(ctx context.Context, by *tasks.Group, fromNear, fromFar []byte) {
	s.under.Store(2)
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		s.close()
		close(closed)
	})
	run := func(dst, src net.Conn, ahead []byte) {
		s.pass(dst, src, ahead)
		if s.under.Add(-1) == 0 {
			if !stop() {
				<-closed
			}
			s.close()
			s.ended()
		}
	}
	by.Go(func() { run(s.far, s.near, fromNear) })
	by.Go(func() { run(s.near, s.far, fromFar) })
}

func (s *splice) pass(dst, src net.Conn, ahead []byte) {
	err := write(dst, ahead)
	if err == nil {
		err = copyAll(dst, src)
	}
	if err != io.EOF || netpoll.CloseWrite(dst) != nil {
		s.close()
	}
}

func (s *splice) close() {
	s.near.Close()
	s.far.Close()
}

// copyAll returns why it ended: io.EOF, or what failed.
func copyAll(dst, src net.Conn) error {
	next := reader(src)
	for {
		if err := src.SetReadDeadline(time.Now().Add(idleSplice)); err != nil {
			return err
		}
		b, n, err := next()
		if err == nil {
			err = write(dst, b[:n])
		}
		transport.PutBuffer(b)
		if err != nil {
			return err
		}
	}
}

// reader reads src a buffer at a time. Where src is a plain TCP connection it
// takes one only when there is something to read: most carriers idle.
func reader(src net.Conn) func() ([]byte, int, error) {
	if c, ok := src.(*transport.Cork); ok {
		src = c.Conn
	}
	if c := netpoll.NewConn(src, transport.GetFull, transport.PutBuffer); c != nil {
		return func() ([]byte, int, error) { return c.Read(0, transport.FullSize) }
	}
	return func() ([]byte, int, error) { // holds a buffer while it waits
		b := transport.GetFull()
		n, err := src.Read(b)
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
	if err := dst.SetWriteDeadline(time.Now().Add(idleSplice)); err != nil {
		return err
	}
	_, err := dst.Write(b)
	return err
}
