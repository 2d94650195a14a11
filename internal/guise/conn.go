package guise

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// Listener wraps what it accepts in a Conn.
type Listener struct {
	net.Listener
	secure *tls.Config
	second *second
}

// Listen wraps a listener, with TLS on it if secure is not nil. A handshake waits for a connection's first Read.
func Listen(l net.Listener, secure *tls.Config) *Listener {
	return &Listener{l, secure, &second{addr: l.Addr(), come: make(chan *frames), closed: make(chan struct{})}}
}

// HTTP2 accepts the connections that have agreed on HTTP/2, which an http.Server for UnencryptedHTTP2 alone
// is to serve: to the one that serves l they seem to be silent until they end.
func (l *Listener) HTTP2() net.Listener { return l.second }

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if l.secure == nil {
		return &Conn{Conn: c}, nil
	}
	secure := tls.Server(c, l.secure)
	return &Conn{Conn: secure, secure: secure, second: l.second}, nil
}

// Conn is a connection as net/http sees it: TLS is beneath it. What net/http writes leaves as nginx
// would have written it. Whoever hijacks the connection gets what is beneath.
//
// net/http writes from one goroutine, the one that calls the handler; another may be reading.
type Conn struct {
	net.Conn
	secure *tls.Conn // the same; nil: no TLS

	second *second

	// The reader's.
	greeted bool // hands were shaken
	blots   blotter
	rest    []byte // was read, and is behind a head that asks for a WebSocket

	// The writer's.
	head    []byte // of an answer, as far as net/http has written it
	pending bool   // the handler was called, and its answer's head has not come
	raw     bool   // taken over: bytes pass as they are
	unsaid  bool   // the connection ends behind the answer, which does not say so
	ended   bool   // nothing more is read or written
}

// NetConn is the connection beneath TLS, and what the listener beneath has made of it.
func (c *Conn) NetConn() net.Conn {
	if c.secure != nil {
		return c.secure.NetConn()
	}
	return c.Conn
}

// CloseWrite tells the peer that no more comes.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// handshakePatience bounds the writing of a handshake; the deadline of the first Read bounds the rest.
const handshakePatience = 10 * time.Second

// Read shakes hands first.
func (c *Conn) Read(b []byte) (int, error) {
	if c.secure != nil && !c.greeted {
		c.greeted = true
		if err := c.greet(); err != nil {
			return 0, err
		}
	}
	if c.ended {
		return 0, io.EOF
	}
	n, err := c.readRest(b)
	if c.raw {
		return n, err
	}
	if end := c.blots.blot(b[:n]); end < n {
		c.rest = append(bytes.Clone(b[end:n]), c.rest...)
		return end, nil // an error comes again
	}
	return n, err
}

// readRest reads what is left before it reads more.
func (c *Conn) readRest(b []byte) (int, error) {
	if len(c.rest) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *Conn) greet() error {
	c.secure.SetWriteDeadline(time.Now().Add(handshakePatience))
	if err := c.secure.HandshakeContext(context.Background()); err != nil {
		return c.unencrypted(err)
	}
	c.secure.SetWriteDeadline(time.Time{})
	if c.secure.ConnectionState().NegotiatedProtocol == "h2" {
		c.ended = true
		return c.second.serve(c.secure)
	}
	return nil
}

// refuse answers with the page of a status, and has net/http end the connection.
func (c *Conn) refuse(to net.Conn, status int) error {
	to.SetWriteDeadline(time.Now().Add(handshakePatience))
	io.WriteString(to, whole(status))
	c.ended = true
	return io.EOF
}

// unencrypted answers whoever speaks HTTP where TLS is spoken. err is the handshake's.
func (c *Conn) unencrypted(err error) error {
	var other tls.RecordHeaderError
	if !errors.As(err, &other) || other.Conn == nil || other.RecordHeader[0] < 'A' || other.RecordHeader[0] > 'Z' {
		return err
	}
	refused := c.refuse(other.Conn, plainToTLS)
	c.linger(other.Conn)
	return refused
}

// lingering is how long at most the rest of a request is read, so that an answer is not lost by a reset.
const lingering = time.Second

func (c *Conn) linger(to net.Conn) {
	if half, ok := to.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		to.SetReadDeadline(time.Now().Add(lingering))
		io.CopyN(io.Discard, to, 4*maxLine)
	}
}

// begin is called before each handler: what comes next is an answer.
func (c *Conn) begin() { c.pending, c.unsaid, c.head = true, false, nil }

// maxAnswerHead bounds the head of an answer: a proxy has read it with a lower bound.
const maxAnswerHead = 64 << 10

// Write takes what net/http writes.
func (c *Conn) Write(b []byte) (int, error) {
	switch {
	case c.ended:
		return len(b), nil
	case c.raw:
		return c.Conn.Write(b)
	case !c.pending && isOwn(b):
		c.ended = true
		line, _, _ := bytes.Cut(b, []byte("\r\n"))
		return c.all(b, []byte(instead(string(line))))
	case !c.pending:
		return c.Conn.Write(b)
	}
	return c.writeHead(b)
}

// writeHead gathers the head of an answer, and writes it with what came behind.
func (c *Conn) writeHead(b []byte) (int, error) {
	before := len(c.head)
	c.head = append(c.head, b...)
	end := bytes.Index(c.head, []byte("\r\n\r\n"))
	switch {
	case end < 0 && len(c.head) > maxAnswerHead:
		return 0, errors.New("an answer's head is too large")
	case end < 0:
		return len(b), nil
	}
	end += len("\r\n\r\n")
	head, rest := c.head[:end], b[end-before:]
	c.head = nil
	line, _, _ := bytes.Cut(head, []byte("\r\n"))
	if status := statusOf(string(line)); status >= 100 && status < 200 {
		return c.all(b, append(head, rest...)) // the answer itself comes later
	}
	c.pending = false
	return c.all(b, append(redress(head, c.unsaid), rest...))
}

// all writes out in the place of b.
func (c *Conn) all(b, out []byte) (int, error) {
	if _, err := c.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Hijack is for http.ResponseController.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.conn.raw = true
	if mine, ok := c.(*Conn); ok {
		c = mine.Conn
		rw.Reader = withRest(rw.Reader, mine.rest, c)
		mine.rest = nil
	}
	return c, rw, nil
}

// withRest is a reader that has buffered rest behind what r has, as whoever hijacks takes what is buffered and reads c for more.
func withRest(r *bufio.Reader, rest []byte, c net.Conn) *bufio.Reader {
	if len(rest) == 0 {
		return r
	}
	before, _ := r.Peek(r.Buffered())
	all := append(bytes.Clone(before), rest...)
	with := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(all), c), len(all))
	with.Peek(len(all))
	return with
}
