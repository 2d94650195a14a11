package emulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// event is what a function gets. The fields are those of recorded events: a
// message has neither headers nor query [7].
type event struct {
	Headers      map[string]string   `json:"headers,omitempty"`
	MultiHeaders map[string][]string `json:"multiValueHeaders,omitempty"`
	Query        map[string]string   `json:"queryStringParameters,omitempty"`
	MultiQuery   map[string][]string `json:"multiValueQueryStringParameters,omitempty"`
	Context      eventContext        `json:"requestContext"`
	Body         *string             `json:"body,omitempty"`
	Base64       bool                `json:"isBase64Encoded"`
}

type eventContext struct {
	RouteKey         string   `json:"routeKey"`
	MessageID        string   `json:"messageId,omitempty"`
	DisconnectCode   int      `json:"disconnectStatusCode,omitempty"`
	EventType        string   `json:"eventType"`
	ExtendedRequest  string   `json:"extendedRequestId"`
	RequestTime      string   `json:"requestTime"`
	Direction        string   `json:"messageDirection"`
	DisconnectReason *string  `json:"disconnectReason,omitempty"`
	Stage            string   `json:"stage"`
	ConnectedAt      int64    `json:"connectedAt"`
	RequestTimeEpoch int64    `json:"requestTimeEpoch"`
	Identity         identity `json:"identity"`
	RequestID        string   `json:"requestId"`
	Domain           string   `json:"domainName"`
	ConnectionID     string   `json:"connectionId"`
	API              string   `json:"apiId"`
}

type identity struct {
	UserAgent string `json:"userAgent,omitempty"`
	SourceIP  string `json:"sourceIp"`
}

// event begins an event of c, named by request.
func (c *conn) event(request, route, kind string) *event {
	now := time.Now()
	return &event{Context: eventContext{
		RouteKey:         route,
		EventType:        kind,
		ExtendedRequest:  request,
		RequestTime:      now.UTC().Format("02/Jan/2006:15:04:05 -0700"),
		Direction:        "IN",
		Stage:            c.gate.opt.Stage,
		ConnectedAt:      c.since.UnixMilli(),
		RequestTimeEpoch: now.UnixMilli(),
		Identity:         c.from,
		RequestID:        request,
		Domain:           c.gate.opt.domain(),
		ConnectionID:     c.id,
		API:              c.gate.opt.API,
	}}
}

func (c *conn) connectEvent(r *http.Request, request string) *event {
	e := c.event(request, "$connect", "CONNECT")
	e.MultiHeaders = eventHeaders(r, c.from.SourceIP)
	e.Headers = last(e.MultiHeaders)
	if q := r.URL.Query(); len(q) > 0 {
		e.MultiQuery, e.Query = q, last(q)
	}
	return e
}

func (c *conn) messageEvent(body, request string) *event {
	e := c.event(request, "$default", "MESSAGE")
	e.Context.MessageID = newID()
	e.Body = &body
	return e
}

func (c *conn) disconnectEvent(why ending) *event {
	e := c.event(newID(), "$disconnect", "DISCONNECT")
	e.Context.DisconnectCode = int(why.code)
	e.Context.DisconnectReason = &why.reason
	domain := c.gate.opt.domain()
	e.MultiHeaders = map[string][]string{"Host": {domain}, "x-api-key": {""}, "X-Forwarded-For": {""}, "x-restapi": {""}}
	e.Headers = last(e.MultiHeaders)
	return e
}

// json writes bodies as they are: API Gateway does not escape HTML.
func (e *event) json() []byte {
	var out bytes.Buffer
	if e.Body != nil {
		out.Grow(len(*e.Body) + 1<<10)
	}
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		panic(err) // strings and numbers only
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// eventHeaders are the client's and those that load balancers of AWS add. The
// names of the handshake's headers are spelled as clients do, not as net/http does.
func eventHeaders(r *http.Request, ip string) map[string][]string {
	h := maps.Clone(map[string][]string(r.Header))
	delete(h, "Connection")
	delete(h, "Upgrade")
	for name, values := range h {
		if rest, ok := strings.CutPrefix(name, "Sec-Websocket-"); ok {
			delete(h, name)
			h["Sec-WebSocket-"+rest] = values
		}
	}
	h["Host"] = []string{r.Host}
	h["X-Amzn-Trace-Id"] = []string{newTrace()}
	h["X-Forwarded-For"] = []string{strings.Join(append(slices.Clone(r.Header["X-Forwarded-For"]), ip), ", ")}
	h["X-Forwarded-Port"] = []string{"443"}
	h["X-Forwarded-Proto"] = []string{"https"}
	return h
}

func last(many map[string][]string) map[string]string {
	one := make(map[string]string, len(many))
	for name, values := range many {
		one[name] = values[len(values)-1]
	}
	return one
}

func newTrace() string {
	id := strings.ReplaceAll(newUUID(), "-", "")
	return fmt.Sprintf("Root=1-%08x-%s", time.Now().Unix(), id[:24])
}

// sourceIP is the address without its port, as far as it has the form of one.
func sourceIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
