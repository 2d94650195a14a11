package e2e

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"culvert/internal/session"
	"culvert/internal/wire"
)

// The first message of a carrier may come with the request for it. What it asks for comes with the
// answer, though the client has said nothing more.
func TestAJoinMayComeWithTheRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.origin()
	for door, addr := range map[string]string{"origin": o.addr, "edge": w.edge(o.addr).addr} {
		first := w.hand(addr, 7).talk(1)
		first.says("hello")
		second := *first
		second.hand = w.ahead(addr, 7, first.session, func(b []byte) []byte {
			use := wire.Frame{Kind: wire.Use, Tunnel: 1, Num: 1, Code: wire.Alone}
			data := wire.Frame{Kind: wire.Data, Tunnel: 1, Pos: first.pos, Body: []byte("there")}
			return data.Append(use.Append(b))
		})
		if f := second.want(wire.Data); !bytes.Equal(f.Body, []byte("there")) {
			t.Errorf("%s: got %q, want what was asked for with the request", door, f.Body)
		}
		second.pos, second.back = second.pos+5, second.back+5
		first.conn.Close()
		second.says("again")
		second.finish()
		if err := <-w.up.ended; err != nil {
			t.Errorf("%s: upstream: %v", door, err)
		}
	}
}

// What came ahead is taken with its token, once; what is no message there ends the carrier.
func TestWhatComesAheadIsTakenOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.origin()
	first := w.hand(o.addr, 7).talk(1)
	first.says("hello")
	pong := func(b []byte) []byte { f := wire.Frame{Kind: wire.Pong}; return f.Append(b) }
	text := w.aheadText(7, first.session, pong)
	w.upgradedBy(o.addr, text.cookie)
	if got := answer(t, w.dialTLS(o.addr), "GET", w.upgrade(text.cookie).String()); strings.Contains(got, " 101 ") {
		t.Errorf("the same request was let in twice: %q", got)
	}
	for name, garbage := range map[string][]byte{
		"nothing that is known": []byte("garbage that is no message"), "a message that is cut": {0, 2, 7},
	} {
		token := w.newToken(7, time.Now())
		h := w.upgradedBy(o.addr, token.WithAhead(garbage))
		h.carrier = first.session.Carrier(session.Stream, token)
		h.wantNothing(name)
	}
	first.says("goes on")
}

// aheadText is a request of a session's, with its first message.
type aheadText struct {
	cookie  string
	carrier *session.ClientCarrier
}

func (w *world) aheadText(user uint32, s *session.Client, frames func([]byte) []byte) aheadText {
	w.Helper()
	token := w.newToken(user, time.Now())
	c := s.Carrier(session.Stream, token)
	b, may := c.Head(make([]byte, 0, wire.MaxRecord), time.Now())
	if !may {
		w.Fatal("the session lets no record go")
	}
	record, err := c.Seal(frames(append(b, 0, 0))[len(b):])
	must(w, err)
	return aheadText{token.WithAhead(b[:len(b)+len(record)]), c}
}

// ahead is a carrier whose Join, and some frames, went with the request for it.
func (w *world) ahead(addr string, user uint32, s *session.Client, frames func([]byte) []byte) *hand {
	w.Helper()
	text := w.aheadText(user, s, frames)
	h := w.upgradedBy(addr, text.cookie)
	h.session, h.carrier = s, text.carrier
	return h
}
