package transport

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"culvert/internal/netpoll"
	"culvert/internal/wire"
)

// textSocket is the Transport over the client's WebSocket at the gateway door.
type textSocket struct {
	ws     *websocket.Conn
	writer *messageWriter
	token  string // of the hello; empty once that was written

	ticket atomic.Pointer[string]
	learn  func(ticket string)
	given  string // the ticket that the origin gave; empty: none yet
	buf    []byte // that NextMessage returned last
	lag    atomic.Int64
}

// errTwoOrigins means that the hello came to two origins, or to one that took it
// for a new one: each has a carrier of its own, and numbers its messages for itself.
var errTwoOrigins = errors.New("two origins have answered")

// Pass is what the first message at the gateway door says: functions see no
// cookie there.
type Pass struct {
	Token  string
	Ticket string              // of the origin that holds the client's tunnels, or empty
	Learn  func(ticket string) // told of the one that the origin gives; must not block
}

// UpgradeText is Upgrade at the gateway door.
func UpgradeText(ctx context.Context, c net.Conn, host, path string, header http.Header, p Pass) (Transport, *http.Response, error) {
	ws, w, resp, err := upgrade(ctx, c, host, path, header)
	if err != nil {
		return nil, resp, err
	}
	ws.SetReadLimit(wire.MaxText)
	w.piece = tlsRecord
	s := &textSocket{ws: ws, writer: w, token: p.Token, learn: p.Learn}
	s.ticket.Store(&p.Ticket)
	return s, resp, nil
}

func (s *textSocket) Start(o Owner) {
	if o.Progress != nil {
		s.writer.watch(o.Progress)
	}
}

// Park implements Transport: a client has few transports, and each a goroutine.
func (s *textSocket) Park(func()) bool { return false }

func (s *textSocket) Profile() *Profile { return gatewayProfile }

// WriteMessage implements Transport. The first message is the hello, and the caller
// writes no other until one has come: the ticket that others must bring comes with it.
func (s *textSocket) WriteMessage(body []byte) error {
	text := GetBody(1 + wire.TokenLen + wire.TicketLen + wire.TextLen(len(body)))
	text = wire.AppendText(wire.AppendUp(text, s.token, *s.ticket.Load()), body)
	defer PutBody(text)
	s.token = ""
	s.writer.begin()
	err := s.write(text)
	return cmp.Or(err, s.writer.end())
}

// write sends text in WebSocket frames that API Gateway takes.
func (s *textSocket) write(text []byte) error {
	if len(text) <= wire.MaxTextPart {
		return s.ws.Write(context.Background(), websocket.MessageText, text)
	}
	w, err := s.ws.Writer(context.Background(), websocket.MessageText)
	if err != nil {
		return err
	}
	for len(text) > 0 && err == nil {
		n := min(len(text), wire.MaxTextPart)
		_, err = w.Write(text[:n])
		text = text[n:]
	}
	return errors.Join(err, w.Close())
}

// Lag implements Transport. It falls by half with each message, so that a small one
// does not hide what a large one takes.
func (s *textSocket) Lag() time.Duration { return time.Duration(s.lag.Load()) }

// Ahead implements Transport.
func (s *textSocket) Ahead() bool { return false }

// Unread implements Transport.
func (s *textSocket) Unread() bool { return false }

func (s *textSocket) took(d time.Duration) { s.lag.Store(max(int64(d), s.lag.Load()/2)) }

func (s *textSocket) NextMessage() (io.Reader, error) {
	body, err := s.read()
	return bytes.NewReader(body), err
}

// read returns the body of the next message, which holds until it is called again.
func (s *textSocket) read() ([]byte, error) {
	PutBody(s.buf)
	s.buf = nil
	text, err := s.readText()
	defer PutBody(text)
	if err != nil {
		return nil, err
	}
	ticket, body, err := wire.ParseDown(text)
	if err != nil && len(text) > 0 && text[0] == '{' {
		return nil, ErrLost
	}
	if err != nil {
		return nil, err
	}
	s.buf, err = wire.AppendBytes(GetBody(wire.BytesLen(len(body))), body)
	if err == nil && ticket != "" {
		err = s.takeTicket(ticket)
	}
	return s.buf, err
}

// takeTicket keeps the ticket that all messages bring from here on.
func (s *textSocket) takeTicket(ticket string) error {
	switch s.given {
	case ticket:
		return nil
	case "":
		s.given = ticket
		s.ticket.Store(&ticket)
		s.learn(ticket)
		return nil
	}
	return errTwoOrigins
}

// readText reads a whole message into a buffer to be given back.
func (s *textSocket) readText() ([]byte, error) {
	typ, r, err := s.ws.Reader(context.Background())
	began := time.Now()
	text := GetBody(maxBody)
	if err == nil && typ != websocket.MessageText {
		err = wire.ErrText
	}
	for err == nil {
		if len(text) == cap(text) {
			return text, wire.ErrText
		}
		var n int
		n, err = r.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
	}
	if err == io.EOF {
		err = nil
	}
	s.took(time.Since(began))
	return text, err
}

// errBusy means that a ping would wait behind a message, for longer than the
// library gives it before it ends the socket.
var errBusy = errors.New("a message is being written")

// Probe implements Transport: it asks API Gateway alone. The answer comes behind all
// that is on its way.
func (s *textSocket) Probe() error {
	if s.writer.held.Load() {
		return errBusy
	}
	ctx, cancel := context.WithTimeout(context.Background(), ProbeLimit)
	defer cancel()
	if err := s.ws.Ping(ctx); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	return nil
}

func (s *textSocket) Close() error {
	netpoll.Beneath(s.writer.Conn).Close()
	return s.ws.CloseNow()
}
