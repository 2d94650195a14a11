package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// order is what an app asks of the upstream: its first bytes.
type order struct {
	Do   byte
	Seed uint64
	Up   int64 // bytes that the app will send
	Down int64 // bytes that the upstream will send
}

// These are the orders that the upstream carries out.
const (
	exchange  = 'x' // both ways at once; a byte of verdict ends the way down
	echo      = 'e' // until the app ends, then end as well
	quiet     = 'q' // read until the end, answer nothing
	stalled   = 's' // read nothing more
	endFirst  = 'f' // send, half-close, then check what comes
	resetting = 'r' // read Up bytes, then reset
)

var orderLen = binary.Size(order{})

func (o order) bytes() []byte {
	b, _ := binary.Append(nil, binary.BigEndian, o)
	return b
}

// upstream stands where WhatsApp would.
type upstream struct {
	ln    net.Listener
	group sync.WaitGroup
	ended chan error // how a stream that wants to tell has ended

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func newUpstream(t testing.TB, n network) *upstream {
	u := &upstream{ln: n.listen(t), conns: map[net.Conn]struct{}{}, ended: make(chan error, 1024)}
	u.group.Go(u.accept)
	t.Cleanup(u.close)
	return u
}

func (u *upstream) close() {
	u.ln.Close()
	u.mu.Lock()
	for c := range u.conns {
		c.Close()
	}
	u.mu.Unlock()
	u.group.Wait()
}

func (u *upstream) accept() {
	for {
		c, err := u.ln.Accept()
		if err != nil {
			return
		}
		u.mu.Lock()
		u.conns[c] = struct{}{}
		u.mu.Unlock()
		u.group.Go(func() {
			err := serveOrder(c)
			if err != nil {
				abort(c)
			}
			c.Close()
			u.mu.Lock()
			delete(u.conns, c)
			u.mu.Unlock()
			select {
			case u.ended <- err:
			default:
			}
		})
	}
}

// live is how many streams are open.
func (u *upstream) live() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.conns)
}

func serveOrder(c net.Conn) error {
	head := make([]byte, orderLen)
	if _, err := io.ReadFull(c, head); err != nil {
		return err
	}
	var o order
	binary.Decode(head, binary.BigEndian, &o)
	switch o.Do {
	case exchange:
		return serveExchange(c, o)
	case echo:
		_, err := io.Copy(struct{ io.Writer }{c}, c)
		return errors.Join(err, closeWrite(c))
	case quiet:
		_, err := io.Copy(io.Discard, c)
		return err
	case stalled:
		var b [1]byte
		c.(interface{ SetLinger(int) error }).SetLinger(0)
		waitClosed(c)
		_, err := c.Read(b[:])
		return err
	case endFirst:
		if err := sendPattern(c, o.Seed+1, o.Down); err != nil {
			return err
		}
		if err := closeWrite(c); err != nil {
			return err
		}
		return checkPattern(c, o.Seed, o.Up)
	case resetting:
		_, err := io.CopyN(io.Discard, c, o.Up)
		return errors.Join(err, errors.New("wanted"))
	}
	return fmt.Errorf("no such order: %q", o.Do)
}

// waitClosed waits, reading nothing, until c is closed here.
func waitClosed(c net.Conn) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if c.SetWriteDeadline(time.Time{}) != nil {
			return
		}
		if m, ok := c.(*memConn); ok && m.in.closed() {
			return
		}
	}
}

func (f *flow) closed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.left
}

func serveExchange(c net.Conn, o order) error {
	up := make(chan error, 1)
	go func() { up <- checkPattern(c, o.Seed, o.Up) }()
	err := sendPattern(c, o.Seed+1, o.Down)
	if err != nil {
		c.Close()
	}
	if err = errors.Join(err, <-up); err != nil {
		return err
	}
	if _, err := c.Write([]byte{verdict}); err != nil {
		return err
	}
	return closeWrite(c)
}

// verdict ends an exchange in which every byte was right.
const verdict = '!'

// run is the app's side of an exchange over c; nil means that every byte came
// once and in order both ways, and both ends were seen. It ends its way once it has
// heard something, as apps do.
func (o order) run(c net.Conn) error {
	up, heard := make(chan error, 1), make(chan struct{})
	go func() {
		_, err := c.Write(o.bytes())
		if err == nil {
			err = sendPattern(c, o.Seed, o.Up)
		}
		<-heard
		up <- errors.Join(err, closeWrite(c))
	}()
	check := &checker{want: pattern(o.Seed + 1)}
	first, err := io.CopyN(check, c, min(o.Down, 1))
	close(heard)
	if err == nil {
		_, err = io.CopyN(check, c, o.Down-first)
	}
	var last []byte
	if err == nil {
		last, err = io.ReadAll(c)
	}
	if err != nil {
		c.Close()
		return errors.Join(fmt.Errorf("down, after %d bytes: %w", check.n, err), <-up)
	}
	if string(last) != string([]byte{verdict}) {
		err = fmt.Errorf("got %q at the end, want the verdict", last)
	}
	return errors.Join(err, <-up)
}

// pattern is an endless stream of bytes that follow from seed.
func pattern(seed uint64) *rand.ChaCha8 {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

func sendPattern(w io.Writer, seed uint64, n int64) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(pattern(seed), n), make([]byte, 64<<10))
	return err
}

// checkPattern reads n bytes of a pattern and the end.
func checkPattern(r io.Reader, seed uint64, n int64) error {
	check := &checker{want: pattern(seed)}
	got, err := io.CopyBuffer(check, struct{ io.Reader }{r}, make([]byte, 64<<10))
	if err == nil && got != n {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("after %d of %d bytes: %w", got, n, err)
	}
	return nil
}

// checker takes what equals want.
type checker struct {
	want io.Reader
	buf  []byte
	n    int64
}

var errBytes = errors.New("other bytes than were sent")

func (c *checker) Write(b []byte) (int, error) {
	if len(b) > len(c.buf) {
		c.buf = make([]byte, len(b))
	}
	io.ReadFull(c.want, c.buf[:len(b)])
	if !bytes.Equal(b, c.buf[:len(b)]) {
		return 0, errBytes
	}
	c.n += int64(len(b))
	return len(b), nil
}

func closeWrite(c net.Conn) error { return c.(interface{ CloseWrite() error }).CloseWrite() }

// abort closes c so that the peer sees a reset.
func abort(c net.Conn) {
	c.(interface{ SetLinger(int) error }).SetLinger(0)
	c.Close()
}
