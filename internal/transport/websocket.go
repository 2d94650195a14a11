package transport

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"culvert/internal/netpoll"
	"culvert/internal/tasks"
	"culvert/internal/wire"
)

// binarySocket is the Transport over a WebSocket at the stream door.
type binarySocket struct {
	writer *messageWriter
	tasks  *tasks.Group
	ahead  []byte              // a message that came before all others; nil: none did, or it was read
	waiter *netpoll.ReadWaiter // nil: messages are waited for by reading

	anew func() (*library, error) // makes a library; nil at the client, whose own stays

	reads  bool       // the reader has the library; it alone knows
	closed bool       // mu guards it
	mu     sync.Mutex // guards the following, too; never held across I/O
	users  int32      // of the library: the reader, the writer, or both

	library *library // nil: nobody reads or writes
}

// newBinarySocket makes one whose reader has l.
func newBinarySocket(l *library, w *messageWriter) *binarySocket {
	l.SetReadLimit(wire.MaxMessage)
	return &binarySocket{writer: w, library: l, users: 1, reads: true}
}

func (s *binarySocket) NextMessage() (io.Reader, error) {
	if s.ahead != nil {
		r := bytes.NewReader(s.ahead)
		s.ahead = nil
		return r, nil
	}
	if !s.reads {
		if _, err := s.borrow(); err != nil {
			return nil, err
		}
		s.reads = true
	}
	typ, r, err := s.library.Reader(untimed{context.Background()})
	if err == nil && typ != websocket.MessageBinary {
		err = ErrMessage
	}
	return r, err
}

func (s *binarySocket) WriteMessage(b []byte) error {
	l, err := s.borrow()
	if err != nil {
		return err
	}
	s.writer.begin()
	err = l.Write(context.Background(), websocket.MessageBinary, b)
	if err = cmp.Or(err, s.writer.end()); err == nil { // else it stays with this socket, which is closed next
		s.giveBack()
	}
	return err
}

// borrow is the library that the socket has, or one that it has from now on.
func (s *binarySocket) borrow() (_ *library, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, net.ErrClosed
	}
	if s.library == nil {
		if s.library, err = borrowLibrary(s.writer, s.anew); err != nil {
			return nil, err
		}
	}
	s.users++
	return s.library, nil
}

// giveBack has the library go to another socket once neither reader nor writer needs it.
func (s *binarySocket) giveBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users == 0 && !s.closed {
		s.library.giveBack()
		s.library = nil
	}
}

// Close cuts the connection first, beneath TLS: the library's own close waits
// for readers and writers, which wait for the network, and that of TLS for
// room to say goodbye.
//
// From before that on the library stays here: a reader that finds nothing on a closed connection may have taken its end
// for that of a message.
func (s *binarySocket) Close() error {
	s.mu.Lock()
	l := s.library
	s.closed = true
	s.mu.Unlock()
	err := netpoll.Beneath(s.writer.Conn).Close()
	if l != nil {
		err = l.CloseNow()
	}
	if s.waiter != nil {
		s.waiter.Cancel()
	}
	return err
}

// Accept makes the Transport of a request that asks for a WebSocket, and has brought the first
// message; nil: it has brought none. The handler returns afterwards: nothing of net/http is kept, which
// is what makes an idle client cheap.
func Accept(w http.ResponseWriter, r *http.Request, first []byte) (_ Transport, err error) {
	hj := &hijack{ResponseWriter: w, library: new(library)}
	if hj.library.Conn, err = websocket.Accept(hj, r, accepting); err != nil {
		return nil, err
	}
	s := newBinarySocket(hj.library, hj.writer)
	s.waiter, s.ahead, s.anew = hj.waiter, first, newLibrary
	return s, nil
}

// waiterOf needs the TCP connection itself: TLS has bytes of its own. It returns that, too, as nothing is to be gathered
// where there is no TLS; else c.
func waiterOf(c net.Conn) (*netpoll.ReadWaiter, net.Conn) {
	if cork, ok := c.(*Cork); ok {
		if w := netpoll.NewReadWaiter(cork.Conn); w != nil {
			return w, cork.Conn
		}
	}
	return nil, c
}

func (s *binarySocket) Start(o Owner) {
	s.tasks = o.Tasks
	if s.waiter != nil {
		s.waiter.Use(o.Poller)
	}
	if o.Progress != nil {
		s.writer.watch(o.Progress)
	}
}

// Park implements Transport. Where no poller takes the connection it waits in a
// goroutine with little stack: reading grows one to four times that.
func (s *binarySocket) Park(resume func()) bool {
	w := s.waiter
	if w == nil || s.ahead != nil || len(s.writer.first) > 0 || s.reads && s.library.reader.Buffered() > 0 || w.Ready() {
		return false
	}
	if s.reads {
		s.reads = false
		s.giveBack()
	}
	if w.Rest(resume) {
		return true
	}
	return s.tasks.Go(func() {
		w.Wait() // an error comes again when reading
		resume()
	})
}

// Ahead implements Transport.
func (s *binarySocket) Ahead() bool { return s.ahead != nil }

// Before has t, which Upgrade has made, bring a message before all others.
func Before(t Transport, message []byte) { t.(*binarySocket).ahead = message }

// Probe implements Transport: a Ping frame of ours is as cheap here.
func (s *binarySocket) Probe() error { return errors.ErrUnsupported }

// Lag implements Transport: TCP loses nothing while it lives.
func (s *binarySocket) Lag() time.Duration { return 0 }

// Unread implements Transport.
func (s *binarySocket) Unread() bool { return netpoll.Unread(s.writer.Conn) }

func (s *binarySocket) Profile() *Profile { return streamProfile }

// hijack puts a messageWriter between the library and the connection, and small
// buffers in place of net/http's 4 KiB ones.
type hijack struct {
	http.ResponseWriter
	writer  *messageWriter
	waiter  *netpoll.ReadWaiter // nil: messages are waited for by reading
	library *library
}

func (h *hijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	c.SetDeadline(time.Time{})
	h.waiter, c = waiterOf(c)
	h.writer = newMessageWriter(c)
	first, _ := rw.Reader.Peek(rw.Reader.Buffered()) // the answer is out already, and a quick client's first byte here
	h.writer.first = bytes.Clone(first)
	read := doorRead
	if h.waiter != nil {
		read, h.writer.lends = leastRead, true
	}
	h.library.pipe.Conn = h.writer
	return h.library.connection(read)
}

// What a carrier's idle end at the origin holds: a chat message is read at
// once, and a WebSocket header or control frame written at once. Where messages
// are not waited for by reading no buffer is held for them: the library's has but
// room for a header, and what comes is read ahead into a buffer that is lent.
const (
	doorRead  = 256
	doorWrite = 136
	leastRead = 16
	doorAhead = 1 << 10
)

// Upgrade asks on c, an open connection to an edge, for a WebSocket. A refusal
// returns the response as well, with its first KiB of body. c is closed on
// every error, and when ctx ends before the answer is there.
func Upgrade(ctx context.Context, c net.Conn, host, path string, header http.Header) (Transport, *http.Response, error) {
	ws, w, resp, err := upgrade(ctx, c, host, path, header)
	if err != nil {
		return nil, resp, err
	}
	return newBinarySocket(&library{Conn: ws}, w), resp, nil
}

func upgrade(ctx context.Context, c net.Conn, host, path string, header http.Header) (*websocket.Conn, *messageWriter, *http.Response, error) {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	w := newMessageWriter(c)
	ws, resp, err := websocket.Dial(ctx, "http://"+host+path, &websocket.DialOptions{
		HTTPClient:           &http.Client{Transport: oneConn{w}, CheckRedirect: noRedirect},
		HTTPHeader:           header,
		CompressionMode:      websocket.CompressionContextTakeover,
		CompressionThreshold: neverCompress,
	})
	if !stop() { // c was closed, by which nobody would know why
		err = context.Cause(ctx)
	}
	if err != nil {
		c.Close()
		return nil, nil, resp, fmt.Errorf("upgrade: %w", err)
	}
	return ws, w, resp, nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// neverCompress is longer than any message: browsers offer to compress and so do we, but sealed bytes do not get
// shorter. What an edge compresses is read.
const neverCompress = 1 << 30

// asker is a connection that says itself how a request is written, as a browser would.
type asker interface {
	AppendRequest(b []byte, req *http.Request) []byte
}

// oneConn is a RoundTripper over a connection that exists already. It is the
// way to get a messageWriter between coder/websocket and TLS.
type oneConn struct{ writer *messageWriter }

func (o oneConn) RoundTrip(req *http.Request) (*http.Response, error) {
	o.writer.begin()
	err := o.write(req)
	if err = cmp.Or(err, o.writer.end()); err != nil {
		return nil, err
	}
	br := bufio.NewReaderSize(io.LimitReader(o.writer.Conn, maxAnswer), 1<<10)
	resp, err := finalAnswer(br, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		passParameters(resp.Header)
		first, _ := br.Peek(br.Buffered()) // the origin may speak at once
		o.writer.first = bytes.Clone(first)
		resp.Body = o.writer
	}
	return resp, nil
}

func (o oneConn) write(req *http.Request) error {
	if a, ok := o.writer.Conn.(asker); ok {
		_, err := o.writer.Write(a.AppendRequest(nil, req))
		return err
	}
	return req.Write(o.writer)
}

// passParameters leaves out of what a server agrees to what only concerns who compresses: the library
// refuses it, as it does not offer it.
func passParameters(h http.Header) {
	const name = "Sec-WebSocket-Extensions"
	parts := strings.Split(strings.Join(h.Values(name), ","), ";")
	parts = slices.DeleteFunc(parts, func(p string) bool { return strings.HasPrefix(strings.TrimSpace(p), "client_max_window_bits") })
	if agreed := strings.Join(parts, ";"); agreed != "" {
		h.Set(name, agreed)
	}
}

// maxInformed is how many answers may come before the final one, as in net/http.
const maxInformed = 5

var errInformed = errors.New("too many answers before the final one")

// finalAnswer skips the answers of 1xx that may come before the final one, of which 101
// is one (RFC 9110, section 15.2).
func finalAnswer(br *bufio.Reader, req *http.Request) (*http.Response, error) {
	for range maxInformed + 1 {
		resp, err := http.ReadResponse(br, req)
		if err != nil || resp.StatusCode < 100 || resp.StatusCode > 199 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
	return nil, errInformed
}

// maxAnswer bounds what an edge may answer to an upgrade, bodies and answers of 1xx
// included.
const maxAnswer = 64 << 10

// exporter is a TLS connection of the client's.
type exporter interface {
	Exporter() func(label string, context []byte, length int) ([]byte, error)
}

// Exporter is that of the TLS which t runs on (RFC 8446, section 7.5); nil: there is none, or none of version 1.3 by
// X25519, with ML-KEM or without, as far as this end can tell. An origin can.
func Exporter(t Transport) func(label string, context []byte, length int) ([]byte, error) {
	s, ok := t.(*binarySocket)
	if !ok {
		return nil
	}
	switch c := s.writer.Conn.(type) {
	case exporter:
		return c.Exporter()
	case *tls.Conn:
		state := c.ConnectionState()
		if state.Version == tls.VersionTLS13 && (state.CurveID == tls.X25519 || state.CurveID == tls.X25519MLKEM768) {
			return state.ExportKeyingMaterial
		}
	}
	return nil
}
