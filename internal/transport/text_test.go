package transport

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"culvert/internal/wire"
	"culvert/test/frames"
)

var testToken = strings.Repeat("T", wire.TokenLen)

// textPeer is API Gateway's end of a client's socket.
type textPeer struct {
	net.Conn
	in *bufio.Reader
}

// newText connects a client that brings a ticket, and says what tickets it learns.
func newText(t *testing.T, ticket string) (near Transport, far *textPeer, learned *[]string) {
	t.Helper()
	accepted := make(chan *textPeer, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, in, err := frames.Upgrade(w, r, "", time.Minute); err == nil {
			accepted <- &textPeer{c, in}
		}
	}))
	t.Cleanup(srv.Close)
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	learned = new([]string)
	near, _, err = UpgradeText(t.Context(), c, "example.org", "/v1", nil, Pass{testToken, ticket, func(s string) { *learned = append(*learned, s) }})
	if err != nil {
		t.Fatal(err)
	}
	far = <-accepted
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far, learned
}

// next is the next message and the lengths of its frames.
func (p *textPeer) next(t *testing.T) (text []byte, lengths []int) {
	t.Helper()
	for {
		h, payload, err := frames.Read(p.in, wire.MaxText)
		if err != nil {
			t.Fatal(err)
		}
		text, lengths = append(text, payload...), append(lengths, len(payload))
		if h.Fin {
			return text, lengths
		}
	}
}

func (p *textPeer) say(opcode frames.Opcode, text string) {
	p.Write(frames.Append(nil, opcode, true, []byte(text)))
}

// down is what an origin says.
func down(ticket, body string) string {
	return string(wire.AppendText(wire.AppendDown(nil, ticket), []byte(body)))
}

func (p *textPeer) wantUp(t *testing.T, token, ticket, body string) {
	t.Helper()
	text, _ := p.next(t)
	up, err := wire.ParseUp(text)
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.AppendBytes(nil, up.Body)
	if err != nil || up.Token != token || up.Ticket != ticket || string(got) != body {
		t.Errorf("got token %q, ticket %q, %q and %v, want %q, %q and %q", up.Token, up.Ticket, got, err, token, ticket, body)
	}
}

func TestTheHelloHasTheTokenAndOthersTheTicketThatTheOriginGave(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"", strings.Repeat("B", wire.TicketLen)} {
		near, far, learned := newText(t, before)
		near.WriteMessage([]byte("first"))
		far.wantUp(t, testToken, before, "first")
		for _, ticket := range []string{testTicket, testTicket, ""} {
			far.say(frames.Text, down(ticket, "answer"))
			wantMessage(t, near, []byte("answer"))
			near.WriteMessage([]byte("more"))
			far.wantUp(t, "", testTicket, "more")
		}
		if len(*learned) != 1 || (*learned)[0] != testTicket {
			t.Errorf("got %q learned, want the ticket once", *learned)
		}
	}
}

func TestTheLargestMessageComesInFramesThatAPIGatewayTakes(t *testing.T) {
	t.Parallel()
	near, far, _ := newText(t, "")
	body := bytesOf(wire.MaxTextBody, 1)
	go near.WriteMessage(body)
	text, lengths := far.next(t)
	if len(text) > wire.MaxText {
		t.Errorf("got %d letters, want at most %d", len(text), wire.MaxText)
	}
	for _, n := range lengths {
		if n > wire.MaxTextPart {
			t.Errorf("got a frame of %d letters, want at most %d", n, wire.MaxTextPart)
		}
	}
	far.Write(frames.Append(nil, frames.Text, true, wire.AppendText(wire.AppendDown(nil, testTicket), body)))
	wantMessage(t, near, body)
}

func TestWhatIsNoMessageOfOneOriginEndsTheTransport(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		says   []string
		opcode frames.Opcode
		want   error // nil: any
	}{
		"API Gateway's own word": {[]string{`{"message": "Internal server error"}`}, frames.Text, ErrLost},
		"another letter":         {[]string{"x!!"}, frames.Text, wire.ErrText},
		"no letters of ours":     {[]string{"d~~"}, frames.Text, wire.ErrText},
		"bytes":                  {[]string{down("", "body")}, frames.Binary, wire.ErrText},
		"two origins":            {[]string{down(testTicket, "one"), down(strings.Repeat("O", wire.TicketLen), "two")}, frames.Text, errTwoOrigins},
		"the end":                {[]string{""}, frames.Close, nil},
	} {
		near, far, _ := newText(t, "")
		for _, text := range c.says {
			far.say(c.opcode, text)
		}
		var err error
		for range c.says {
			_, err = near.NextMessage()
		}
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestWhatAFullMessageTookIsNotHiddenByTheNext(t *testing.T) {
	t.Parallel()
	s := new(textSocket)
	for i, want := range []time.Duration{8 * time.Second, 4 * time.Second, 2 * time.Second} {
		if s.took([]time.Duration{8 * time.Second, time.Millisecond, 0}[i]); s.Lag() != want {
			t.Errorf("got %v, want %v", s.Lag(), want)
		}
	}
}
