package emulator

import (
	"errors"
	"io"
	"unicode/utf8"

	"culvert/test/frames"
)

// errEnd means that nothing more is expected of the client.
var errEnd = errors.New("client has closed")

// These are the reasons for which API Gateway closes a connection by itself [2, 6].
var (
	binary   = ending{1003, "Unsupported data"}
	tooLarge = ending{1009, "Message too long"}
	protocol = ending{1002, "Protocol error"}
	notText  = ending{1007, "Invalid text"}
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
	body []byte
	amid bool // a frame of it has come, and not the last one
}

func (c *conn) readFrame(m *inbound) error {
	h, err := frames.ReadHeader(c.in)
	if err != nil {
		return err
	}
	if c.hasEnded() && h.Opcode != frames.Close {
		return c.skip(h.Length)
	}
	if !h.MayCome(m.amid) {
		c.close(protocol)
		_, err := io.Copy(io.Discard, c.in) // what follows makes no sense; the read deadline ends it
		return errors.Join(errEnd, err)
	}
	if h.Opcode.IsControl() {
		return c.control(h)
	}
	if why := c.check(h, m); why != nil {
		c.close(*why)
		return c.skip(h.Length)
	}
	return c.append(h, m)
}

// check enforces the quotas [1, 2].
func (c *conn) check(h frames.Header, m *inbound) *ending {
	switch {
	case h.Opcode == frames.Binary:
		return &binary
	case h.Length > int64(c.gate.opt.FrameBytes), len(m.body)+int(h.Length) > c.gate.opt.MessageBytes:
		return &tooLarge
	}
	return nil
}

// append adds a frame, and delivers the message if it was the last one.
func (c *conn) append(h frames.Header, m *inbound) error {
	at := len(m.body)
	m.body = append(m.body, make([]byte, h.Length)...)
	if _, err := io.ReadFull(c.in, m.body[at:]); err != nil {
		return err
	}
	h.Unmask(m.body[at:])
	if !h.Fin {
		m.amid = true
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
func (c *conn) control(h frames.Header) error {
	b := make([]byte, h.Length) // at most 125, which MayCome has seen to
	if _, err := io.ReadFull(c.in, b); err != nil {
		return err
	}
	h.Unmask(b)
	switch h.Opcode {
	case frames.Ping:
		c.pong(b)
	case frames.Close:
		c.close(goodbye(b))
		return errEnd
	}
	return nil
}

// goodbye is what a client's close frame says; it is also the answer.
func goodbye(b []byte) ending {
	code, reason := frames.ParseClose(b)
	if code == 0 || !utf8.ValidString(reason) {
		return protocol
	}
	return ending{code, reason}
}

// pong is dropped if the client takes nothing anyway.
func (c *conn) pong(b []byte) {
	frame := frames.Append(nil, frames.Pong, true, b)
	if c.out.reserve(len(frame)) {
		c.out.put(frame)
	}
}

// received sends a client's message to its function; the next one does not wait
// for it. One that comes too fast closes, as the list of close codes has it [6];
// a "Too Many Requests" message would be the milder guess.
func (c *conn) received(body string) {
	c.touch()
	c.gate.opt.Meter.received(len(body))
	switch {
	case c.gate.opt.Faults.Cut():
		c.cut()
		return
	case !c.gate.requests.allow():
		c.close(throttled)
		return
	}
	for range c.gate.opt.Faults.copies() {
		if !c.start(func() { c.invoke(body) }) {
			return
		}
	}
}

// start runs f when fewer messages than may are under way; until then the
// client's bytes wait in its connection.
func (c *conn) start(f func()) bool {
	select {
	case c.gate.inFlight <- struct{}{}:
	case <-c.gone:
		return false
	}
	if !c.gate.begin() {
		<-c.gate.inFlight
		return false
	}
	go func() {
		defer c.gate.done()
		defer func() { <-c.gate.inFlight }()
		f()
	}()
	return true
}

// invoke tells the client only of failures: a reply with any status is a
// success, and its body goes nowhere without a route response.
func (c *conn) invoke(body string) {
	if !c.gate.pause(c.gate.opt.Faults.Latency()) {
		return
	}
	request := newID()
	if c.gate.routes.Default == nil {
		c.tell("Forbidden", request)
		return
	}
	answer, err := c.gate.invoke(c.gate.routes.Default, c.messageEvent(body, request))
	if err == nil {
		_, _, err = parseReply(answer)
	}
	switch {
	case errors.Is(err, errIntegration):
		c.tell("Endpoint request timed out", request)
	case err != nil:
		c.tell("Internal server error", request)
	}
}

// tell is best effort: a client whose buffer is full learns nothing.
func (c *conn) tell(message, request string) {
	b := c.notice(message, request)
	if all := textFrames(b, c.gate.opt.FrameBytes); c.out.reserve(len(all)) {
		c.send(len(b), all)
	}
}

// send puts what has room in the outbox, and tells whether it will be written.
func (c *conn) send(size int, all []byte) bool {
	if !c.out.put(all) {
		return false
	}
	c.touch()
	c.gate.opt.Meter.sent(size, len(all))
	return true
}

// textFrames cuts a message into frames of at most max bytes: clients of the
// real one must take fragments, too.
func textFrames(b []byte, max int) []byte {
	out := make([]byte, 0, len(b)+(len(b)/max+1)*frames.MaxHeader)
	for op, first := frames.Text, true; first || len(b) > 0; op, first = frames.Continuation, false {
		n := min(len(b), max)
		out = frames.Append(out, op, n == len(b), b[:n])
		b = b[n:]
	}
	return out
}
