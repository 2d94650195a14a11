package emulator

import (
	"errors"
	"io"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// errEnd means that nothing more is expected of the client.
var errEnd = errors.New("client has closed")

// Why API Gateway closes a connection by itself [2, 6].
var (
	binary   = ending{ws.StatusUnsupportedData, "Unsupported data"}
	tooLarge = ending{ws.StatusMessageTooBig, "Message too long"}
	protocol = ending{ws.StatusProtocolError, "Protocol error"}
	notText  = ending{ws.StatusInvalidFramePayloadData, "Invalid text"}
)

// read takes the client's frames until its end. After a close of ours it goes
// on without looking at them: to close the connection with bytes unread would
// reset it, and the client might never see the close frame.
func (c *conn) read() {
	var m inbound
	for {
		if err := c.readFrame(&m); err != nil {
			c.lost(err)
			return
		}
	}
}

// lost ends a connection whose client is gone, or has answered the close frame.
func (c *conn) lost(err error) {
	if !errors.Is(err, errEnd) {
		c.cut()
	}
}

// inbound is the message that is being put together.
type inbound struct {
	body  []byte
	state ws.State
}

func (c *conn) readFrame(m *inbound) error {
	h, err := ws.ReadHeader(c.in)
	if err != nil {
		return err
	}
	if c.hasEnded() && h.OpCode != ws.OpClose {
		return c.skip(h.Length)
	}
	if ws.CheckHeader(h, m.state|ws.StateServerSide) != nil {
		c.close(protocol)
		_, err := io.Copy(io.Discard, c.in) // what follows makes no sense; the read deadline ends it
		return errors.Join(errEnd, err)
	}
	if h.OpCode.IsControl() {
		return c.control(h)
	}
	if why := c.check(h, m); why != nil {
		c.close(*why)
		return c.skip(h.Length)
	}
	return c.append(h, m)
}

// check enforces the quotas [1, 2].
func (c *conn) check(h ws.Header, m *inbound) *ending {
	switch {
	case h.OpCode == ws.OpBinary:
		return &binary
	case h.Length > int64(c.gate.opt.FrameBytes), len(m.body)+int(h.Length) > c.gate.opt.MessageBytes:
		return &tooLarge
	}
	return nil
}

// append adds a frame, and delivers the message if it was the last one.
func (c *conn) append(h ws.Header, m *inbound) error {
	at := len(m.body)
	m.body = append(m.body, make([]byte, h.Length)...)
	if _, err := io.ReadFull(c.in, m.body[at:]); err != nil {
		return err
	}
	ws.Cipher(m.body[at:], h.Mask, 0)
	if !h.Fin {
		m.state = m.state.Set(ws.StateFragmented)
		return nil
	}
	body := m.body
	*m = inbound{}
	if utf8.Valid(body) {
		c.received(string(body))
	} else {
		c.close(notText)
	}
	return nil
}

func (c *conn) skip(n int64) error {
	_, err := io.CopyN(io.Discard, c.in, n)
	return err
}

// control answers pings, which do not count as messages, and close frames.
func (c *conn) control(h ws.Header) error {
	b := make([]byte, h.Length) // at most 125, which CheckHeader has seen to
	if _, err := io.ReadFull(c.in, b); err != nil {
		return err
	}
	ws.Cipher(b, h.Mask, 0)
	switch h.OpCode {
	case ws.OpPing:
		c.pong(b)
	case ws.OpClose:
		c.close(goodbye(b))
		return errEnd
	}
	return nil
}

// goodbye is what a client's close frame says; it is also the answer.
func goodbye(b []byte) ending {
	code, reason := ws.ParseCloseFrameData(b)
	if len(b) == 0 {
		return ending{code: ws.StatusNoStatusRcvd}
	}
	if code.IsNotUsed() || code > 4999 || code.IsProtocolReserved() || !utf8.ValidString(reason) {
		return protocol
	}
	return ending{code, reason}
}

// pong is dropped if the client takes nothing anyway.
func (c *conn) pong(b []byte) {
	frame := ws.MustCompileFrame(ws.NewPongFrame(b))
	if c.out.reserve(len(frame)) {
		c.out.put(frame)
	}
}
