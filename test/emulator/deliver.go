package emulator

import (
	"bytes"
	"errors"

	"github.com/gobwas/ws"
)

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
	case !c.gate.requests.take():
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
	if !c.gate.hold(c.gate.opt.Faults.Latency()) {
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
	if frames := textFrames(b, c.gate.opt.FrameBytes); c.out.reserve(len(frames)) {
		c.send(len(b), frames)
	}
}

// send puts what has room in the outbox, and tells whether it will be written.
func (c *conn) send(size int, frames []byte) bool {
	if !c.out.put(frames) {
		return false
	}
	c.touch()
	c.gate.opt.Meter.sent(size, len(frames))
	return true
}

// textFrames cuts a message into frames of at most max bytes: clients of the
// real one must take fragments, too.
func textFrames(b []byte, max int) []byte {
	var out bytes.Buffer
	out.Grow(len(b) + (len(b)/max+1)*ws.MaxHeaderSize)
	for op, first := ws.OpText, true; first || len(b) > 0; op, first = ws.OpContinuation, false {
		n := min(len(b), max)
		ws.WriteHeader(&out, ws.Header{Fin: n == len(b), OpCode: op, Length: int64(n)})
		out.Write(b[:n])
		b = b[n:]
	}
	return out.Bytes()
}
