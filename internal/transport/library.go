package transport

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"culvert/internal/wire"
)

// library is coder/websocket's end of a WebSocket. At the origin it knows nothing of its socket between two messages, as
// nothing is compressed there. So one that rests gives it back, and another has it next: a library for each of them, with its
// buffers, would be the largest part of what an idle client costs. Whoever has had an error keeps it, and closes it.
type library struct {
	*websocket.Conn
	reader *bufio.Reader // what Conn reads by
	pipe   pipe
}

// untimed is a context whose time is long over, of which it tells nobody. coder/websocket gives the pong to a ping 5 s and then
// closes what it has: a timer that fires while it is stopped would close the socket that has the library next. None is made
// where an earlier deadline holds. The carrier sees to who takes nothing.
type untimed struct{ context.Context }

// Deadline implements context.Context.
func (untimed) Deadline() (time.Time, bool) { return time.Time{}, true }

// pipe is the connection that a library knows: that of the socket which has it, or none.
type pipe struct{ net.Conn }

// Close closes the connection if there is one. coder/websocket closes what nobody uses any more.
func (p *pipe) Close() error {
	if p.Conn == nil {
		return nil
	}
	return p.Conn.Close()
}

// connection is what coder/websocket makes a Conn of.
func (l *library) connection(read int) (net.Conn, *bufio.ReadWriter, error) {
	l.reader = bufio.NewReaderSize(&l.pipe, read)
	return &l.pipe, bufio.NewReadWriter(l.reader, bufio.NewWriterSize(&l.pipe, doorWrite)), nil
}

// spare are libraries that no socket has. There are as many as sockets have at once, of which a message is under way:
// few, however many rest.
var spare = make(chan *library, 128)

// borrowLibrary is a library for a socket that has been accepted. anew makes one: a client, which never does, has no code for it.
func borrowLibrary(w *messageWriter, anew func() (*library, error)) (l *library, err error) {
	select {
	case l = <-spare:
	default:
		if l, err = anew(); err != nil {
			return nil, err
		}
	}
	l.pipe.Conn = w
	return l, nil
}

// giveBack leaves l to others.
func (l *library) giveBack() {
	l.pipe.Conn = nil
	select {
	case spare <- l:
	default:
		l.CloseNow() // it would wait for its finalizer
	}
}

// accepting are browsers' same-origin rule, which does not hold: the gate's token decides here.
var accepting = &websocket.AcceptOptions{InsecureSkipVerify: true}

// newLibrary makes one for a socket whose peer has been answered long ago.
func newLibrary() (l *library, err error) {
	l = &library{}
	if l.Conn, err = websocket.Accept(answered{l, http.Header{}}, asked, accepting); err != nil {
		return nil, err
	}
	l.SetReadLimit(wire.MaxMessage)
	return l, nil
}

// asked is a request for a WebSocket.
var asked = &http.Request{Method: http.MethodGet, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{
	"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
}}

// answered is an http.ResponseWriter of whoever has had the answer.
type answered struct {
	library *library
	header  http.Header
}

func (a answered) Header() http.Header         { return a.header }
func (a answered) WriteHeader(int)             {}
func (a answered) Write(b []byte) (int, error) { return len(b), nil }

func (a answered) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return a.library.connection(leastRead)
}
