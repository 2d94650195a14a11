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
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"culvert/internal/wire"
)

// textSocket is the Transport over the client's WebSocket at the gateway door.
type textSocket struct {
	ws     *websocket.Conn
	writer *messageWriter
	token  string

	in     deduplicator
	out    *batch
	ticket atomic.Pointer[string]
	learn  func(ticket string)
	given  string // the ticket that the origin gave; empty: none yet
	buf    []byte // that NextMessage returned last

	mu      sync.Mutex // guards the following
	waiting bool       // the origin has not said that it has the messages first to last
	first   uint32
	last    uint32
	since   time.Time     // when first was written, or later
	got     uint32        // it has all before this
	slow    time.Duration // how long a full message takes to come, about
}

// errTwoOrigins means that the hello came to two origins, or to one that took it
// for a new one: each numbers its messages for itself.
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
	s.out = newBatch(1, s.send, func() { s.Close() })
	return s, resp, nil
}

// send writes one message, in WebSocket frames that API Gateway takes.
func (s *textSocket) send(number uint32, body []byte) error {
	wire.PutNumbers(body, wire.Numbers{Number: number, Got: s.in.upTo()})
	control := onlyControl(body[wire.NumbersLen:])
	token := ""
	if number == 0 {
		token = s.token
	}
	text := getBody(1 + wire.TokenLen + wire.TicketLen + wire.TextLen(len(body)))
	text = wire.AppendText(wire.AppendUp(text, token, *s.ticket.Load()), body)
	putBody(body)
	defer putBody(text)
	s.writer.begin()
	err := s.write(text)
	err = cmp.Or(err, s.writer.end())
	if !control {
		s.sent(number)
	}
	return err
}

func (s *textSocket) Start(o Owner) {
	s.out.tasks = o.Tasks
	if o.Progress != nil {
		s.writer.watch(o.Progress)
	}
}

// Park implements Transport: a client has few transports, and each a goroutine.
func (s *textSocket) Park(func()) bool { return false }

func (s *textSocket) Profile() *Profile { return gatewayProfile }

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

// sent notes a message that the origin must hear of.
func (s *textSocket) sent(number uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if number < s.got {
		return
	}
	s.last = number
	if !s.waiting {
		s.waiting, s.first, s.since = true, number, time.Now()
	}
}

// heard notes that the origin has all messages before got.
func (s *textSocket) heard(got uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = max(s.got, got)
	if s.waiting && got > s.first {
		s.waiting, s.first, s.since = got <= s.last, got, time.Now()
	}
}

// Overdue implements Transport: it is for how long the origin has said nothing of a
// message, or one of its own has been missing, beyond what comes before it on a slow
// link.
func (s *textSocket) Overdue(now time.Time) time.Duration {
	overdue := s.in.missing(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting {
		overdue = max(overdue, now.Sub(s.since))
	}
	return max(overdue-maxBefore*s.slow, 0)
}

// maxBefore messages may be on their way before what the origin says now: those
// that it posts at once, and what API Gateway keeps for a client.
const maxBefore = 12

// took notes how long a message took to come.
func (s *textSocket) took(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow = max(d, s.slow/2)
}

func (s *textSocket) NextMessage() (io.Reader, error) {
	for {
		frames, err := s.read()
		if err != nil || frames != nil {
			return bytes.NewReader(frames), err
		}
	}
}

// read returns the frames of the next message, nil if it came before.
func (s *textSocket) read() ([]byte, error) {
	if s.buf != nil {
		putBody(s.buf)
		s.buf = nil
	}
	text, err := s.readText()
	defer putBody(text)
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
	s.buf = getBody(wire.BytesLen(len(body)))
	n, frames, err := wire.ParseBody(s.buf, body)
	if err != nil {
		return nil, err
	}
	if ticket != "" {
		if err := s.takeTicket(ticket); err != nil {
			return nil, err
		}
	}
	s.heard(n.Got)
	s.out.heard(n.Got)
	isNew, err := s.in.note(n.Number)
	if !isNew {
		frames = nil
	}
	return frames, err
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
		s.out.open()
		return nil
	}
	return errTwoOrigins
}

// readText reads a whole message into a buffer to be given back.
func (s *textSocket) readText() ([]byte, error) {
	typ, r, err := s.ws.Reader(context.Background())
	began := time.Now()
	text := getBody(maxBody)
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

// WriteMessage implements Transport: frames go when their message is full or due.
func (s *textSocket) WriteMessage(b []byte) error { return s.out.Write(b) }

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
	s.out.close(net.ErrClosed)
	beneath(s.writer.Conn).Close()
	return s.ws.CloseNow()
}

// deduplicator notes which text messages have come, in any order and any number of
// times. The zero value is ready.
type deduplicator struct {
	mu    sync.Mutex
	got   uint32              // all before this have come
	ahead map[uint32]struct{} // these have, too
	gap   time.Time           // since when one is missing, if ahead holds any
}

// maxAhead bounds the messages that overtake a missing one.
const maxAhead = 4096

// errAhead means that messages are missing for good, or made up.
var errAhead = errors.New("too many messages overtook one")

// note says whether message n is new.
func (d *deduplicator) note(n uint32) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, twice := d.ahead[n]; twice || n < d.got {
		return false, nil
	}
	if n-d.got > maxAhead {
		return false, errAhead
	}
	if n == d.got {
		d.advance()
		return true, nil
	}
	if len(d.ahead) == 0 {
		d.ahead = map[uint32]struct{}{}
		d.gap = time.Now()
	}
	d.ahead[n] = struct{}{}
	return true, nil
}

func (d *deduplicator) advance() {
	for come := true; come; {
		d.got++
		_, come = d.ahead[d.got]
		delete(d.ahead, d.got)
	}
	if len(d.ahead) == 0 {
		d.ahead = nil
	}
	d.gap = time.Now()
}

func (d *deduplicator) upTo() uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.got
}

// missing is for how long a message has been, 0 if none is.
func (d *deduplicator) missing(now time.Time) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.ahead) == 0 {
		return 0
	}
	return max(now.Sub(d.gap), 1)
}
