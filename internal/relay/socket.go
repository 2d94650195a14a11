package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"culvert/internal/netpoll"
	"culvert/internal/wire"
)

// Socket carries messages of whole frames. NextMessage and what it returns
// are for one goroutine, WriteMessage for one at a time, Close for any.
type Socket interface {
	NextMessage() (io.Reader, error) // to be read to its EOF before the next
	WriteMessage(b []byte) error     // must not keep b
	Close() error                    // at once; unblocks the other two
}

// binarySocket is a WebSocket at the stream door.
type binarySocket struct {
	ws   *websocket.Conn
	hold *hold

	waiter   *netpoll.ReadWaiter // nil: messages are waited for by reading
	buffered *bufio.Reader       // the library's, when waiter is there
}

// parker is a Socket that may be able to wait for its next message cheaply. parkIn
// is called first. park has resume called, in a goroutine of its own, when there is
// something to read or the socket has been closed; false if it cannot, or if there is
// something to read now.
type parker interface {
	parkIn(*netpoll.Poller)
	park(resume func()) bool
}

// ErrMessage means the peer sent something that is not a binary message.
var ErrMessage = errors.New("not a binary message")

func newBinarySocket(ws *websocket.Conn, h *hold) *binarySocket {
	ws.SetReadLimit(wire.MaxMessage)
	return &binarySocket{ws: ws, hold: h}
}

func (s *binarySocket) NextMessage() (io.Reader, error) {
	typ, r, err := s.ws.Reader(context.Background())
	if err == nil && typ != websocket.MessageBinary {
		err = ErrMessage
	}
	return r, err
}

func (s *binarySocket) WriteMessage(b []byte) error {
	s.hold.begin()
	err := s.ws.Write(context.Background(), websocket.MessageBinary, b)
	if err2 := s.hold.end(); err == nil {
		err = err2
	}
	return err
}

func (s *binarySocket) watch(moved func()) { s.hold.watch(moved) }

// Close cuts the connection first, beneath TLS: the library's own close waits
// for readers and writers, which wait for the network, and that of TLS for
// room to say goodbye.
func (s *binarySocket) Close() error {
	beneath(s.hold.Conn).Close()
	err := s.ws.CloseNow()
	if s.waiter != nil {
		s.waiter.Cancel()
	}
	return err
}

// beneath is the connection that TLS runs on, or c.
func beneath(c net.Conn) net.Conn {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		return t.NetConn()
	}
	return c
}

// Accept makes the Socket of a request that asks for a WebSocket. The handler
// returns afterwards: nothing of net/http is kept, which is what makes an idle
// client cheap.
func Accept(w http.ResponseWriter, r *http.Request) (Socket, error) {
	hj := &hijack{ResponseWriter: w}
	ws, err := websocket.Accept(hj, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // browsers' same-origin rule: the gate's token decides here
	})
	if err != nil {
		return nil, err
	}
	s := newBinarySocket(ws, hj.hold)
	s.buffered, s.waiter = hj.small, waiterOf(hj.hold)
	return s, nil
}

// waiterOf needs the TCP connection itself: TLS has bytes of its own.
func waiterOf(h *hold) *netpoll.ReadWaiter {
	cork, ok := h.Conn.(*Cork)
	if !ok {
		return nil
	}
	return netpoll.NewReadWaiter(cork.Conn)
}

func (s *binarySocket) parkIn(p *netpoll.Poller) {
	if s.waiter != nil {
		s.waiter.Use(p)
	}
}

func (s *binarySocket) park(resume func()) bool {
	w := s.waiter
	if w == nil || s.buffered.Buffered() > 0 || len(s.hold.first) > 0 {
		return false
	}
	if w.Park(resume) {
		return true
	}
	if w.Ready() {
		return false
	}
	go func() {
		w.Wait() // an error comes again when reading
		resume()
	}()
	return true
}

// hijack puts a hold between the library and the connection, and small
// buffers in place of net/http's 4 KiB ones.
type hijack struct {
	http.ResponseWriter
	hold  *hold
	small *bufio.Reader
}

func (h *hijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	c.SetDeadline(time.Time{})
	h.hold = newHold(c)
	first, _ := rw.Reader.Peek(rw.Reader.Buffered()) // the answer is out already, and a quick client's first byte here
	h.hold.first = bytes.Clone(first)
	h.small = bufio.NewReaderSize(h.hold, doorRead)
	return h.hold, bufio.NewReadWriter(h.small, bufio.NewWriterSize(h.hold, doorWrite)), nil
}

// What a carrier's idle end at the origin holds: a chat message is read at
// once, and a WebSocket header or control frame written at once.
const (
	doorRead  = 256
	doorWrite = 136
)

// Upgrade asks on c, an open connection to an edge, for a WebSocket. A refusal
// returns the response as well, with its first KiB of body. c is closed on
// every error, and when ctx ends before the answer is there.
func Upgrade(ctx context.Context, c net.Conn, host, path string, header http.Header) (Socket, *http.Response, error) {
	ws, h, resp, err := upgrade(ctx, c, host, path, header)
	if err != nil {
		return nil, resp, err
	}
	return newBinarySocket(ws, h), resp, nil
}

func upgrade(ctx context.Context, c net.Conn, host, path string, header http.Header) (*websocket.Conn, *hold, *http.Response, error) {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	h := newHold(c)
	ws, resp, err := websocket.Dial(ctx, "http://"+host+path, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: oneConn{h}, CheckRedirect: noRedirect},
		HTTPHeader: header,
	})
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		c.Close()
		return nil, nil, resp, fmt.Errorf("upgrade: %w", err)
	}
	return ws, h, resp, nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// oneConn is a RoundTripper over a connection that exists already. It is the
// way to get a hold between coder/websocket and TLS.
type oneConn struct{ hold *hold }

func (o oneConn) RoundTrip(req *http.Request) (*http.Response, error) {
	o.hold.begin()
	err := req.Write(o.hold)
	if err2 := o.hold.end(); err == nil {
		err = err2
	}
	if err != nil {
		return nil, err
	}
	br := bufio.NewReaderSize(io.LimitReader(o.hold.Conn, maxAnswer), 1<<10)
	resp, err := http.ReadResponse(br, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		first, _ := br.Peek(br.Buffered()) // the origin may speak at once
		o.hold.first = bytes.Clone(first)
		resp.Body = o.hold
	}
	return resp, nil
}

// maxAnswer bounds what an edge may answer to an upgrade, body included.
const maxAnswer = 64 << 10
