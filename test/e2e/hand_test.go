package e2e

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"culvert/internal/seal"
	"culvert/internal/session"
	"culvert/internal/wire"
	"culvert/test/frames"
)

// hand is one carrier of a client that is written by hand, on WebSocket frames that no
// library writes. It does as it is told, right or wrong, and answers pings.
type hand struct {
	t       testing.TB
	session *session.Client
	carrier *session.ClientCarrier
	conn    net.Conn
	from    io.Reader // what comes from the server
	in      []byte    // the rest of the message that is being read
	frames  []byte    // the rest of the record that is being read
	sent    [][]byte  // all messages that went, in order
}

// hand makes a client of a session of its own, whose carrier has proved itself.
func (w *world) hand(addr string, user uint32) *hand {
	w.Helper()
	pair, err := seal.NewClientPair(w.master.Client(user))
	must(w, err)
	h := w.carrier(addr, user, session.NewClient(pair, session.AESGCM))
	h.live()
	return h
}

// carrier makes a carrier of a session, on which nothing has been said.
func (w *world) carrier(addr string, user uint32, s *session.Client) *hand {
	w.Helper()
	token := w.newToken(user, time.Now())
	h := w.upgraded(addr, token)
	h.session, h.carrier = s, s.Carrier(session.Stream, token)
	return h
}

// upgraded is a WebSocket that a token has opened, and nothing else.
func (w *world) upgraded(addr string, token wire.Token) *hand {
	w.Helper()
	return w.upgradedBy(addr, token.Text())
}

// upgradedBy is upgraded, by what the cookie holds.
func (w *world) upgradedBy(addr, cookie string) *hand {
	w.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	must(w, err)
	w.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	from, err := frames.Dial(conn, addr, "/", http.Header{"Cookie": {wire.TokenCookie + "=" + cookie}})
	must(w, err)
	return &hand{t: w, conn: conn, from: from}
}

// live goes on until the server's end has proved itself, and proves this one.
func (h *hand) live() {
	h.t.Helper()
	for h.carrier.State() != session.Live {
		if h.carrier.State() == session.Waiting {
			h.say()
		}
		must(h.t, h.take())
	}
	h.send(wire.Frame{Kind: wire.Pong})
}

// sendMessage sends any bytes as a message.
func (h *hand) sendMessage(b []byte) {
	h.t.Helper()
	h.sent = append(h.sent, b)
	_, err := h.conn.Write(frames.Masked(frames.Binary, true, b))
	must(h.t, err)
}

// say sends what the session has to say, if anything.
func (h *hand) say() {
	h.t.Helper()
	if b, _ := h.carrier.Head(nil, time.Now()); len(b) > 0 {
		h.sendMessage(b)
	}
}

// send sends frames as one record.
func (h *hand) send(all ...wire.Frame) {
	h.t.Helper()
	b, may := h.carrier.Head(make([]byte, 0, wire.MaxRecord), time.Now())
	if !may {
		h.t.Fatal("the session lets no record go")
	}
	at := len(b)
	b = append(b, 0, 0)
	for _, f := range all {
		b = f.Append(b)
	}
	record, err := h.carrier.Seal(b[at:])
	must(h.t, err)
	h.sendMessage(b[:at+len(record)])
}

// message is the next message. The server's WebSocket pings are not answered: nobody
// waits for that here.
func (h *hand) message() (msg []byte, err error) {
	for {
		head, payload, err := frames.Read(h.from, wire.MaxMessage)
		switch {
		case err != nil:
			return nil, err
		case head.Opcode == frames.Close:
			return nil, io.EOF
		case head.Opcode.IsControl():
			continue
		}
		msg = append(msg, payload...)
		if head.Fin {
			return msg, nil
		}
	}
}

// take takes a plain message or opens a record.
func (h *hand) take() error {
	if len(h.in) == 0 {
		msg, err := h.message()
		if err != nil {
			return err
		}
		h.in = msg
	}
	plain, body, rest, err := session.Next(h.in)
	if err != nil {
		return err
	}
	h.in = rest
	if plain == session.Record {
		h.frames, err = h.carrier.Open(0, body)
		return err
	}
	event, err := h.carrier.Receive(plain, body, time.Now())
	if event&session.Speak != 0 {
		h.say()
	}
	return err
}

// next is the next frame that concerns a tunnel, but for acks. It answers pings.
func (h *hand) next() (f wire.Frame, err error) {
	for {
		for len(h.frames) == 0 {
			if err := h.take(); err != nil {
				return f, err
			}
		}
		if f, h.frames, err = wire.NextFrame(h.frames); err != nil {
			return f, err
		}
		switch {
		case f.Kind == wire.Ping:
			h.send(wire.Frame{Kind: wire.Pong, Pos: f.Pos})
		case f.Tunnel != 0 && f.Kind != wire.Ack:
			return f, nil
		}
	}
}

func (h *hand) want(kind wire.Kind) wire.Frame {
	h.t.Helper()
	f, err := h.next()
	if err != nil || f.Kind != kind {
		h.t.Fatalf("got a frame of kind %d and %v, want kind %d", f.Kind, err, kind)
	}
	return f
}

// replay sends messages of another carrier. The server may end this one at any of them.
func (h *hand) replay(all [][]byte) {
	for _, b := range all {
		if _, err := h.conn.Write(frames.Masked(frames.Binary, true, b)); err != nil {
			return
		}
	}
}

// wantNothing wants the server to end the carrier without a record.
func (h *hand) wantNothing(why string) {
	h.t.Helper()
	for {
		msg, err := h.message()
		if err != nil && isTimeout(err) {
			h.t.Errorf("%s: the carrier lives on, want it ended", why)
		}
		if err != nil {
			return
		}
		for len(msg) > 0 {
			plain, _, rest, err := session.Next(msg)
			if err != nil || plain == session.Record || plain == session.Agreed {
				h.t.Errorf("%s: got a record, or %v, want a challenge at most", why, err)
				return
			}
			msg = rest
		}
	}
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

// opening is the frame that opens a tunnel for an order.
func opening(id uint32, o order) wire.Frame {
	service := wire.AppendService(nil, wire.Service{Kind: wire.Chat})
	return wire.Frame{Kind: wire.Open, Tunnel: id, Body: append(service, o.bytes()...)}
}

// talk is a tunnel that is echoed.
type talk struct {
	*hand
	id        uint32
	pos, back uint64
}

func (h *hand) talk(id uint32) *talk {
	h.t.Helper()
	h.send(opening(id, order{Do: echo}))
	return &talk{hand: h, id: id, pos: uint64(orderLen)}
}

// says sends text and wants it back.
func (t *talk) says(text string) {
	t.t.Helper()
	t.send(wire.Frame{Kind: wire.Data, Tunnel: t.id, Pos: t.pos, Body: []byte(text)})
	t.pos += uint64(len(text))
	for got := ""; got != text; {
		f := t.want(wire.Data)
		if f.Tunnel != t.id || f.Pos != t.back {
			t.t.Fatalf("got bytes at %d of tunnel %d, want some at %d of %d", f.Pos, f.Tunnel, t.back, t.id)
		}
		got += string(f.Body)
		t.back += uint64(len(f.Body))
		if len(got) >= len(text) && got != text {
			t.t.Fatalf("got %q, want %q", got, text)
		}
	}
	t.send(wire.Frame{Kind: wire.Ack, Tunnel: t.id, Pos: t.back, Num: wire.FirstWindow})
}

// finish ends the tunnel in order.
func (t *talk) finish() {
	t.t.Helper()
	t.send(wire.Frame{Kind: wire.Fin, Tunnel: t.id, Pos: t.pos})
	if f := t.want(wire.Fin); f.Pos != t.back {
		t.t.Errorf("got a Fin at %d, want one at %d", f.Pos, t.back)
	}
	t.send(wire.Frame{Kind: wire.Ack, Tunnel: t.id, Pos: t.back + 1})
}
