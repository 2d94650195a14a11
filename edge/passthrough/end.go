package passthrough

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"culvert/internal/netpoll"
)

// end is one of a socket's two connections. ReverseProxy copies with io.Copy
// and a fresh 32 KiB buffer each way; io.Copy leaves the copying to a source
// that has WriteTo, so end decides: an end that waits holds smallRead bytes, and
// a full buffer is borrowed only while there is something in it.
//
// One goroutine may read while another writes, as with any net.Conn.
type end struct {
	net.Conn
	ahead  []byte             // came with the HTTP headers; read first
	count  prometheus.Counter // of bytes read here
	moved  *atomic.Bool       // tells the watch
	small  [smallRead]byte
	plain  *netpoll.Conn // nil: not a plain TCP connection
	once   sync.Once
	closed func() // called by the first Close; may be nil
}

// smallRead holds a chat message or a keep-alive whole: one read, no buffer
// borrowed.
const smallRead = 512

func newEnd(c net.Conn, ahead []byte, count prometheus.Counter, moved *atomic.Bool) *end {
	netpoll.Tune(c)
	return &end{Conn: c, ahead: ahead, count: count, moved: moved, plain: netpoll.NewConn(c, pool{})}
}

// Close may be called more than once.
func (e *end) Close() error {
	err := e.Conn.Close()
	e.once.Do(func() {
		if e.closed != nil {
			e.closed()
		}
	})
	return err
}

// CloseWrite tells the peer that no more comes: a FIN, or TLS's close_notify.
func (e *end) CloseWrite() error {
	if c, ok := e.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return e.Conn.Close()
}

// WriteTo passes on all that is read until the peer half-closes, which is no error.
func (e *end) WriteTo(to io.Writer) (int64, error) {
	n, err := e.pass(to, e.ahead)
	e.ahead = nil
	total := int64(n)
	for err == nil {
		n, err = e.step(to)
		total += int64(n)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return total, err
}

// step waits for bytes and passes them on.
func (e *end) step(to io.Writer) (int, error) {
	if e.plain != nil {
		return e.plainStep(to)
	}
	n, err := e.Conn.Read(e.small[:])
	if n < smallRead || err != nil {
		return e.passThen(to, e.small[:n], err)
	}
	full := full.Get().(*[fullRead]byte)
	defer putFull(full)
	n = copy(full[:], e.small[:])
	more, err := readNow(e.Conn, e.Conn, full[n:])
	return e.passThen(to, full[:n+more], err)
}

func (e *end) plainStep(to io.Writer) (int, error) {
	full, n, err := e.plain.Read(0, fullRead)
	if err != nil {
		return 0, err
	}
	defer pool{}.Put(full)
	return e.pass(to, full[:n])
}

// passThen passes b on and returns the first of the write's and the read's errors.
func (e *end) passThen(to io.Writer, b []byte, read error) (int, error) {
	n, err := e.pass(to, b)
	if err == nil {
		err = read
	}
	return n, err
}

func (e *end) pass(to io.Writer, b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	e.moved.Store(true)
	e.count.Add(float64(len(b)))
	if d, ok := to.(*end); ok {
		to = d.Conn
	}
	return to.Write(b)
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// readNow reads what from has decrypted or buffered already and does not wait:
// above all the rest of a TLS record. c is the connection below from.
func readNow(from io.Reader, c net.Conn, b []byte) (int, error) {
	if err := c.SetReadDeadline(longAgo); err != nil {
		return 0, err
	}
	n, err := from.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return n, errors.Join(err, c.SetReadDeadline(time.Time{}))
}

// readAhead returns what the transport read behind the headers of an answer
// 101, at most its 4 KiB buffer. An error comes again at the next read.
func readAhead(body io.Reader, c net.Conn) []byte {
	b := make([]byte, 4<<10)
	n, _ := readNow(body, c, b)
	if n == 0 {
		return nil
	}
	return b[:n:n]
}
