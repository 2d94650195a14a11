package emulator

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
)

// call serves the @connections API [5].
func (g *Gateway) call(w http.ResponseWriter, r *http.Request, id string) {
	body, err := readBody(w, r, int64(g.opt.MessageBytes))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "PayloadTooLargeException", "Message too long")
		return
	}
	if err := g.verify(r, body); err != nil {
		refuse(w, http.StatusForbidden, err.kind, err.message)
		return
	}
	if !g.requests.take() {
		refuse(w, http.StatusTooManyRequests, "LimitExceededException", "Too Many Requests")
		return
	}
	if status := g.opt.Faults.FailPost(); status != 0 {
		refuse(w, status, failureKind(status), http.StatusText(status))
		return
	}
	if c := g.callee(w, id); c != nil {
		c.serveCall(w, r, body)
	}
}

// readBody makes room once, for what the caller says it will send.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(min(max(r.ContentLength, 0), limit)) + bytes.MinRead)
	_, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	return b.Bytes(), err
}

func failureKind(status int) string {
	switch status {
	case http.StatusGone:
		return "GoneException"
	case http.StatusForbidden:
		return "ForbiddenException"
	case http.StatusTooManyRequests:
		return "LimitExceededException"
	}
	return "InternalServerErrorException"
}

// callee is the open connection named id. One that never was gets 403; one
// that has ended, or whose handshake is not answered yet, gets 410.
func (g *Gateway) callee(w http.ResponseWriter, id string) *conn {
	c := g.find(id)
	switch {
	case c == nil && !g.ids.gaveOut(id):
		refuse(w, http.StatusForbidden, "ForbiddenException", "Forbidden")
	case c == nil, !c.isOpen():
		gone(w)
	default:
		return c
	}
	return nil
}

func gone(w http.ResponseWriter) {
	refuse(w, http.StatusGone, "GoneException", "Gone")
}

func (c *conn) serveCall(w http.ResponseWriter, r *http.Request, body []byte) {
	switch r.Method {
	case http.MethodPost:
		c.post(w, body)
	case http.MethodGet:
		c.describe(w)
	case http.MethodDelete:
		c.close(deleted)
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowedException", "Method Not Allowed")
	}
}

// post is answered once the message waits for the client: it may still be lost
// with the connection.
func (c *conn) post(w http.ResponseWriter, body []byte) {
	if c.gate.opt.Faults.Cut() {
		c.cut()
		gone(w)
		return
	}
	frames := textFrames(body, c.gate.opt.FrameBytes)
	for range c.gate.opt.Faults.copies() {
		if !c.out.reserve(len(frames)) {
			refuse(w, http.StatusTooManyRequests, "LimitExceededException", "Too Many Requests")
			return
		}
		if !c.sendLater(len(body), frames, c.gate.opt.Faults.Latency()) {
			gone(w)
			return
		}
	}
}

// sendLater holds the message back for d. It tells whether the message waits.
func (c *conn) sendLater(size int, frames []byte, d time.Duration) bool {
	if d <= 0 {
		return c.send(size, frames)
	}
	if !c.gate.begin() {
		c.out.free(len(frames))
		return false
	}
	go func() {
		defer c.gate.done()
		if !c.gate.hold(d) {
			c.out.free(len(frames))
			return
		}
		c.send(size, frames)
	}()
	return true
}

func (c *conn) describe(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(struct {
		ConnectedAt  time.Time `json:"connectedAt"`
		Identity     identity  `json:"identity"`
		LastActiveAt time.Time `json:"lastActiveAt"`
	}{c.since.UTC(), c.from, time.UnixMilli(c.active.Load()).UTC()})
}
