package emulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"culvert/test/frames"
)

// errIntegration means that a function did not answer in time.
var errIntegration = errors.New("function did not answer in time")

// handshake lets $connect decide, and serves the connection until its end.
func (g *Gateway) handshake(w http.ResponseWriter, r *http.Request) {
	if !isHandshake(r) {
		refuse(w, http.StatusBadRequest, "BadRequestException", "Bad Request")
		return
	}
	c := g.register(r)
	if c == nil {
		refuse(w, http.StatusTooManyRequests, "TooManyRequestsException", "Too Many Requests")
		return
	}
	defer g.unregister(c)
	request := newID()
	protocol, status := g.admit(c, r, request)
	if status != 0 {
		c.refuse(w, status, request)
	} else if c.upgrade(w, r, protocol) {
		c.serve()
		g.disconnected(c)
	}
}

// isHandshake follows RFC 6455, section 4.2.1, so that $connect is not asked
// about what cannot become a WebSocket.
func isHandshake(r *http.Request) bool {
	return r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoMinor == 1 &&
		strings.EqualFold(r.Header.Get("Upgrade"), "websocket") &&
		strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade") &&
		len(r.Header.Get("Sec-WebSocket-Key")) == 24 &&
		r.Header.Get("Sec-WebSocket-Version") == "13"
}

// admit returns the subprotocol that $connect chose, or the status to refuse with.
func (g *Gateway) admit(c *conn, r *http.Request, request string) (protocol string, status int) {
	if g.routes.Connect == nil {
		return "", 0
	}
	answer, err := g.invoke(g.routes.Connect, c.connectEvent(r, request))
	if err != nil {
		return "", failureStatus(err)
	}
	status, protocol, err = parseReply(answer)
	switch {
	case err != nil:
		return "", failureStatus(err)
	case status/100 != 2:
		return "", status
	}
	return protocol, 0
}

// invoke waits for a function as long as API Gateway does.
func (g *Gateway) invoke(f Function, e *event) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(g.life, g.opt.Integration, errIntegration)
	defer cancel()
	out, err := f.Invoke(ctx, e.json())
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return out, err
}

// refuse does not pass on what the function said.
func (c *conn) refuse(w http.ResponseWriter, status int, request string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(c.notice(http.StatusText(status), request))
}

// notice is how API Gateway says that something went wrong, to the letter [8].
func (c *conn) notice(message, request string) []byte {
	return fmt.Appendf(nil, `{"message": %q, "connectionId":%q, "requestId":%q}`, message, c.id, request)
}

// upgrade answers the handshake; no extension is negotiated.
func (c *conn) upgrade(w http.ResponseWriter, r *http.Request, protocol string) bool {
	nc, in, err := frames.Upgrade(w, r, protocol, c.gate.opt.WriteTimeout)
	if err != nil {
		if nc != nil {
			nc.Close()
		}
		return false
	}
	c.open(nc, in, time.Now().Add(c.gate.opt.OpenDelay))
	return true
}

// disconnected tells $disconnect, once and without a promise [3].
func (g *Gateway) disconnected(c *conn) {
	if g.routes.Disconnect == nil || !g.pause(g.opt.Faults.Latency()) {
		return
	}
	g.invoke(g.routes.Disconnect, c.disconnectEvent(c.ending()))
}

// errReply means that a function answered something that is no proxy response.
var errReply = errors.New("function's reply has no statusCode from 200 to 599")

// reply is what API Gateway reads of a function's answer. Without a route
// response the body goes nowhere [4].
type reply struct {
	StatusCode json.Number         `json:"statusCode"`
	Headers    map[string]string   `json:"headers"`
	Multi      map[string][]string `json:"multiValueHeaders"`
}

// parseReply returns the status and the subprotocol that the function chose.
func parseReply(b []byte) (status int, protocol string, err error) {
	var r reply
	if json.Unmarshal(b, &r) != nil {
		return 0, "", errReply
	}
	code, err := r.StatusCode.Int64()
	if err != nil || code < 200 || code > 599 {
		return 0, "", errReply
	}
	return int(code), r.header("Sec-WebSocket-Protocol"), nil
}

func (r reply) header(want string) string {
	for name, value := range r.Headers {
		if strings.EqualFold(name, want) {
			return value
		}
	}
	for name, values := range r.Multi {
		if strings.EqualFold(name, want) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// failureStatus is what a handshake gets whose function failed: 500 if Lambda
// did not run it, 502 if it ran and failed or answered nonsense [9], 504 if it
// did not answer in time.
func failureStatus(err error) int {
	var failure *FunctionError
	switch {
	case errors.Is(err, errIntegration):
		return http.StatusGatewayTimeout
	case errors.As(err, &failure), errors.Is(err, errReply):
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}
