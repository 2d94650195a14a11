package emulator

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
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
	if !g.requests.allow() {
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
		if !c.gate.pause(d) {
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

// unsigned is why a call is refused with 403.
type unsigned struct{ kind, message string }

var (
	errNoSignature  = &unsigned{"MissingAuthenticationTokenException", "Missing Authentication Token"}
	errIncomplete   = &unsigned{"IncompleteSignatureException", "Authorization header is incomplete, or not for this service and region."}
	errUnknownKey   = &unsigned{"UnrecognizedClientException", "The security token included in the request is invalid."}
	errClock        = &unsigned{"InvalidSignatureException", "Signature expired or not yet current: compare the caller's clock."}
	errBadSignature = &unsigned{"InvalidSignatureException", "The request signature we calculated does not match the signature you provided."}
)

// maxSkew is how far the caller's clock may be from ours.
const maxSkew = 5 * time.Minute

// authorization is the header's content.
type authorization struct {
	key       string
	scope     string // date/region/service/aws4_request
	headers   []string
	signature string
}

func parseAuthorization(header string) (a authorization, ok bool) {
	rest, ok := strings.CutPrefix(header, "AWS4-HMAC-SHA256 ")
	if !ok {
		return a, false
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			a.key, a.scope, _ = strings.Cut(value, "/")
		case "SignedHeaders":
			a.headers = strings.Split(value, ";")
		case "Signature":
			a.signature = value
		}
	}
	return a, a.key != "" && a.scope != "" && len(a.headers) > 0 && a.signature != ""
}

// verify checks Signature Version 4 by signing what was signed once more. It
// asks for the host and the time to be signed, as the signer always does both.
func (g *Gateway) verify(r *http.Request, body []byte) *unsigned {
	header := r.Header.Get("Authorization")
	if header == "" {
		return errNoSignature
	}
	a, ok := parseAuthorization(header)
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if !ok || err != nil || a.scope != at.Format("20060102")+"/"+g.opt.Region+"/execute-api/aws4_request" {
		return errIncomplete
	}
	creds := g.opt.Credentials
	if creds.SecretAccessKey == "" || a.key != creds.AccessKeyID {
		return errUnknownKey
	}
	if time.Since(at).Abs() > maxSkew {
		return errClock
	}
	again := signedPart(r, a.headers)
	sum := sha256.Sum256(body)
	err = g.signer.SignHTTP(r.Context(), creds, again, hex.EncodeToString(sum[:]), "execute-api", g.opt.Region, at)
	want, ok := parseAuthorization(again.Header.Get("Authorization"))
	if err != nil || !ok || !slices.Equal(a.headers, want.headers) || subtle.ConstantTimeCompare([]byte(a.signature), []byte(want.signature)) != 1 {
		return errBadSignature
	}
	return nil
}

// signedPart is the request with only the headers that its caller signed.
func signedPart(r *http.Request, headers []string) *http.Request {
	where := *r.URL
	out := &http.Request{Method: r.Method, URL: &where, Host: r.Host, Header: http.Header{}}
	for _, name := range headers {
		switch values := r.Header.Values(name); {
		case name == "content-length":
			out.ContentLength = r.ContentLength
		case len(values) > 0:
			out.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	return out
}
