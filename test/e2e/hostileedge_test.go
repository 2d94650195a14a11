package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/wire"
	"culvert/test/frames"
)

// hostile is an edge that sees all that an edge can: tokens, and whole messages, which it
// keeps. It does with them what it likes. At the stream door it leads carriers to any of some
// origins; at the gateway door it stands before API Gateway.
type hostile struct {
	net     network
	ln      net.Listener
	text    bool     // it is of the gateway door
	origins []string // where they listen, or API Gateway does, in the clear
	every   int64    // one message of so many, about, is not passed on as it came; 0: none

	change func(d *direction, msg []byte) []parcelOf // what goes on in a message's place; nil: what chance has it
	enter  func(r *http.Request) (website string)    // may change a request, or answer it; nil: neither
	holds  atomic.Bool                               // every carrier is held back

	group  sync.WaitGroup
	wrongs atomic.Int64 // messages that were not passed on as they came
	astray atomic.Int64 // carriers that were led to another origin than their ticket's
	held   atomic.Int64 // carriers that were held back

	mu      sync.Mutex // guards the following
	random  *rand.Rand
	closed  bool
	conns   []net.Conn
	kept    [2][][]byte // messages up and down, of all carriers
	live    [2][]*direction
	shows   []*show
	gave    map[string]int // tickets, and whose they are
	tokens  []string       // that came in messages, and tickets
	tickets []string
}

// show is all that a client has said on one carrier.
type show struct {
	text     bool
	request  []byte
	messages [][]byte
}

// parcelOf is a message that goes by a carrier's direction, after a while.
type parcelOf struct {
	by    *direction
	msg   []byte
	after time.Duration
}

func (w *world) hostile(every int64, origins ...string) *hostile {
	w.Helper()
	return w.hostileAt(false, every, origins...)
}

func (w *world) hostileAt(text bool, every int64, origins ...string) *hostile {
	w.Helper()
	h := &hostile{
		net: w.net, ln: w.net.listen(w), text: text, origins: origins, every: every,
		random: rand.New(rand.NewPCG(1, uint64(every))), gave: map[string]int{},
	}
	h.group.Go(h.accept)
	w.Cleanup(h.close)
	return h
}

func (h *hostile) addr() string { return h.ln.Addr().String() }

func (h *hostile) close() {
	h.ln.Close()
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cut()
	h.group.Wait()
}

// cut ends all carriers.
func (h *hostile) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		c.Close()
	}
	h.conns = nil
}

func (h *hostile) accept() {
	for {
		near, err := h.ln.Accept()
		if err != nil {
			return
		}
		h.group.Go(func() {
			defer near.Close()
			h.serve(tls.Server(near, serverTLS(certificate())))
		})
	}
}

// dial reaches an origin of a number.
func (h *hostile) dial(i int) (net.Conn, error) {
	c, err := h.net.dial(context.Background(), "tcp", h.origins[i])
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns = append(h.conns, c)
	if h.closed {
		c.Close()
	}
	return c, nil
}

func (h *hostile) serve(near net.Conn) {
	in := bufio.NewReader(near)
	r, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	if h.enter != nil {
		if website := h.enter(r); website != "" {
			io.WriteString(near, website)
			return
		}
	}
	i := h.choose(r)
	s := h.show(r)
	if i < 0 {
		h.holdBack(s, r, in, near)
		return
	}
	far, err := h.dial(i)
	if err != nil {
		return
	}
	defer far.Close()
	back, ticket, err := s.upgrade(far, near)
	if err != nil {
		return
	}
	h.learn(ticket, i)
	up, down := h.direction(0, in, far, s), h.direction(1, back, near, nil)
	h.begin(up, down)
	defer h.end(up, down)
	h.group.Go(func() { defer near.Close(); defer far.Close(); down.pass() })
	up.pass()
}

func (h *hostile) begin(both ...*direction) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range both {
		h.live[d.way] = append(h.live[d.way], d)
	}
}

func (h *hostile) end(both ...*direction) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range both {
		h.live[d.way] = slices.DeleteFunc(h.live[d.way], func(other *direction) bool { return other == d })
	}
}

// choose is the origin for a carrier: the one that gave its ticket, or the first, but once
// in a while another, or none.
func (h *hostile) choose(r *http.Request) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	right := 0
	if ticket, err := r.Cookie(wire.TicketCookie); err == nil {
		right = h.gave[ticket.Value]
	}
	switch {
	case h.holds.Load():
		return -1
	case h.every == 0 || h.random.IntN(3) > 0:
		return right
	}
	i := h.random.IntN(len(h.origins)+1) - 1
	if i >= 0 && i != right {
		h.astray.Add(1)
	}
	return i
}

func (h *hostile) learn(ticket string, origin int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gave[ticket] = origin
}

// holdBack answers in the origin's place, and has the origin see a little later what the
// client has said, when that has given the carrier up; or not, if every carrier is held back.
func (h *hostile) holdBack(s *show, r *http.Request, in *bufio.Reader, near net.Conn) {
	h.held.Add(1)
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(near, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	readMessages(in, func(frames.Opcode, []byte) error { return nil }, func(msg []byte) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		s.messages = append(s.messages, msg)
		return nil
	})
	if h.holds.Load() {
		return
	}
	time.Sleep(5 * time.Second)
	h.repeat(s, 0)
}

// show begins one with r, from which it takes the ticket, so that origins are not led by it.
func (h *hostile) show(r *http.Request) *show {
	token, _ := r.Cookie(wire.TokenCookie)
	r.Header.Del("Cookie")
	if token != nil {
		r.Header.Set("Cookie", token.Name+"="+token.Value)
	}
	var b bytes.Buffer
	r.Write(&b)
	s := &show{text: h.text, request: b.Bytes()}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shows = append(h.shows, s)
	return s
}

var errNoUpgrade = errors.New("a website")

// upgrade sends the request to an origin, and its answer to whoever asked, if to anybody.
func (s *show) upgrade(far net.Conn, near io.Writer) (back *bufio.Reader, ticket string, err error) {
	if _, err := far.Write(s.request); err != nil {
		return nil, "", err
	}
	back = bufio.NewReader(far)
	res, err := http.ReadResponse(back, nil)
	if err != nil {
		return nil, "", err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		res.Write(near)
		return nil, "", errNoUpgrade
	}
	for _, c := range res.Cookies() {
		if c.Name == wire.TicketCookie {
			ticket = c.Value
		}
	}
	res.Body = nil
	return back, ticket, res.Write(near)
}

// direction is one of a carrier.
type direction struct {
	*hostile
	way  int
	from *bufio.Reader
	also *show  // keeps what comes; nil: nobody does
	held []byte // goes after the next

	writing chan struct{} // holds one while a message or a frame of control is written
	to      net.Conn
}

func (h *hostile) direction(way int, from *bufio.Reader, to net.Conn, also *show) *direction {
	return &direction{hostile: h, way: way, from: from, to: to, also: also, writing: make(chan struct{}, 1)}
}

func (d *direction) pass() { readMessages(d.from, d.control, d.do) }

// readMessages reads until an error, and gives each frame of control and each whole message.
func readMessages(from io.Reader, control func(frames.Opcode, []byte) error, message func([]byte) error) error {
	var msg []byte
	for {
		head, payload, err := frames.Read(from, wire.MaxMessage)
		switch {
		case err != nil:
		case head.Opcode.IsControl():
			err = control(head.Opcode, payload)
		default:
			if msg = append(msg, payload...); head.Fin {
				err = message(msg)
				msg = nil
			}
		}
		if err != nil {
			return err
		}
	}
}

func (d *direction) control(o frames.Opcode, payload []byte) error {
	d.writing <- struct{}{}
	defer func() { <-d.writing }()
	return writeFrame(d.to, d.way, o, true, payload)
}

func (d *direction) write(msg []byte) error {
	d.writing <- struct{}{}
	defer func() { <-d.writing }()
	return writeMessage(d.to, d.way, d.text, msg)
}

// writeMessage cuts text as API Gateway wants it.
func writeMessage(to io.Writer, way int, text bool, msg []byte) error {
	op, most := frames.Binary, len(msg)
	if text {
		op, most = frames.Text, wire.MaxTextPart
	}
	for {
		n := min(most, len(msg))
		if err := writeFrame(to, way, op, n == len(msg), msg[:n]); err != nil || n == len(msg) {
			return err
		}
		op, msg = frames.Continuation, msg[n:]
	}
}

func writeFrame(to io.Writer, way int, o frames.Opcode, fin bool, payload []byte) error {
	b := frames.Append(nil, o, fin, payload)
	if way == 0 {
		b = frames.Masked(o, fin, payload)
	}
	_, err := to.Write(b)
	return err
}

// do passes a message on, or does something else with it.
func (d *direction) do(msg []byte) (err error) {
	for _, p := range d.instead(msg) {
		switch {
		case p.after > 0:
			d.group.Go(func() { time.Sleep(p.after); p.by.write(p.msg) })
		case p.by == d:
			err = errors.Join(err, d.write(p.msg))
		default:
			p.by.write(p.msg) // if that carrier still lives
		}
	}
	return err
}

// maxHeld bounds the messages that an edge keeps of each direction.
const maxHeld = 300

func (d *direction) instead(msg []byte) (all []parcelOf) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.also != nil {
		d.also.messages = append(d.also.messages, msg)
	}
	if d.text {
		d.note(d.way, msg)
	}
	defer func() {
		if d.held != nil && len(all) > 0 {
			all, d.held = append(all, parcelOf{by: d, msg: d.held}), nil
		}
		d.keep(msg)
	}()
	switch {
	case d.change != nil:
		return d.change(d, msg)
	case d.every == 0 || d.random.Int64N(d.every) > 0:
		return []parcelOf{{by: d, msg: msg}}
	}
	d.wrongs.Add(1)
	if d.text && d.random.IntN(2) == 0 {
		return d.wrongText(msg)
	}
	for _, b := range d.wrong(msg) {
		all = append(all, parcelOf{by: d, msg: b})
	}
	return all
}

func (d *direction) keep(msg []byte) {
	if kept := &d.kept[d.way]; len(*kept) < maxHeld {
		*kept = append(*kept, msg)
	} else {
		(*kept)[d.random.IntN(maxHeld)] = msg
	}
}

// wrong is what goes in the place of msg.
func (d *direction) wrong(msg []byte) [][]byte {
	switch d.random.IntN(8) {
	case 0: // twice
		return [][]byte{msg, msg}
	case 1: // after the one that follows
		if d.held == nil {
			d.held = msg
			return nil
		}
		return [][]byte{msg}
	case 2: // never
		return nil
	case 3: // after another that was here before, of this carrier or of any other
		return [][]byte{d.old(d.way), msg}
	case 4: // another in its place
		return [][]byte{d.old(d.way)}
	case 5: // one of the other direction
		return [][]byte{d.old(1 - d.way), msg}
	case 6: // with one bit changed
		return [][]byte{d.flipped(msg)}
	default: // a part
		return [][]byte{msg[:d.random.IntN(len(msg)+1)]}
	}
}

func (d *direction) flipped(msg []byte) []byte {
	if d.text {
		return d.flippedText(msg)
	}
	other := bytes.Clone(msg)
	if len(other) > 0 {
		other[d.random.IntN(len(other))] ^= 1 << d.random.IntN(8)
	}
	return other
}

// old is any message that was kept. mu is held.
func (h *hostile) old(way int) []byte {
	if len(h.kept[way]) == 0 {
		return nil
	}
	return h.kept[way][h.random.IntN(len(h.kept[way]))]
}

// repeat has an origin see a whole carrier once more, and returns what it says: nothing but
// a website, or what it says to whoever has a token.
func (h *hostile) repeat(s *show, i int) (said [][]byte, err error) {
	far, err := h.dial(i)
	if err != nil {
		return nil, err
	}
	defer far.Close()
	far.SetDeadline(time.Now().Add(time.Minute))
	back, _, err := s.upgrade(far, io.Discard)
	if err != nil {
		return nil, err
	}
	for _, b := range s.messages {
		if err := writeMessage(far, 0, s.text, b); err != nil {
			break
		}
	}
	readMessages(back, func(frames.Opcode, []byte) error { return nil }, func(msg []byte) error {
		said = append(said, msg)
		return nil
	})
	return said, nil
}

func (h *hostile) allShows() []*show {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.shows)
}
