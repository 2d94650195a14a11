package emulator

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Gateway is the http.Handler of one WebSocket API: the WebSockets' side at
// /{stage}, and /{stage}/@connections. Its methods may be called at once by
// many. Its server must speak HTTP/1.1.
type Gateway struct {
	routes   Routes
	opt      Options
	ids      ids
	signer   *v4.Signer
	connects *bucket
	requests *bucket
	inFlight chan struct{} // holds one for each message on its way to a function
	waiting  atomic.Int64  // bytes that wait for clients
	life     context.Context
	stop     context.CancelFunc

	mu      sync.Mutex // guards the following
	conns   map[string]*conn
	ended   bool
	running sync.WaitGroup // Add only under mu and before ended
}

// New returns a gateway that runs until Close.
func New(routes Routes, o Options) *Gateway {
	g := &Gateway{routes: routes, opt: o.withDefaults(), ids: newIDs(), signer: v4.NewSigner(), conns: map[string]*conn{}}
	g.connects = newBucket(g.opt.ConnectRate, g.opt.ConnectRate)
	g.requests = newBucket(g.opt.RequestRate, g.opt.RequestBurst)
	g.inFlight = make(chan struct{}, g.opt.MaxInFlight)
	g.life, g.stop = context.WithCancel(context.Background())
	return g
}

// Close says goodbye to all clients (1012, service restart) and waits until
// nothing of the gateway runs any more, CloseTimeout at most for clients that
// do not answer. Functions are no longer told of the connections' ends; close
// them afterwards.
func (g *Gateway) Close() {
	g.mu.Lock()
	g.ended = true
	g.mu.Unlock()
	g.stop()
	g.running.Wait()
}

// begin tells whether something may still be started; done must follow if so.
func (g *Gateway) begin() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return false
	}
	g.running.Add(1)
	return true
}

func (g *Gateway) done() { g.running.Done() }

// ServeHTTP returns when the answer is complete or the connection has ended.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !g.begin() {
		refuse(w, http.StatusServiceUnavailable, "ServiceUnavailableException", "Service Unavailable")
		return
	}
	defer g.done()
	stage := "/" + g.opt.Stage
	id, isCall := strings.CutPrefix(r.URL.Path, stage+"/@connections/")
	switch {
	case len(r.RequestURI) > maxURL:
		refuse(w, http.StatusRequestURITooLong, "RequestURITooLongException", "Request URI Too Long")
	case isCall:
		g.call(w, r, id)
	case r.URL.Path == stage:
		g.handshake(w, r)
	default:
		refuse(w, http.StatusForbidden, "ForbiddenException", "Forbidden")
	}
}

const maxURL = 4096 // characters [1]

// refuse answers as AWS does: the error's name in a header, a message as JSON.
func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Errortype", kind)
	w.Header().Set("X-Amzn-Requestid", newUUID())
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(struct {
		Message string `json:"message"`
	}{message})
}

// register gives a new connection its place; nil means that it comes too soon after
// others, or that there is no room.
func (g *Gateway) register(r *http.Request) *conn {
	if !g.connects.allow() {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.conns) >= g.opt.MaxConnections {
		return nil
	}
	c := newConn(g, r)
	g.conns[c.id] = c
	return c
}

func (g *Gateway) unregister(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c.id)
}

func (g *Gateway) find(id string) *conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.conns[id]
}

// pause waits for a message's latency and tells whether the gateway still runs.
func (g *Gateway) pause(d time.Duration) bool {
	if d <= 0 {
		return g.life.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-g.life.Done():
		return false
	}
}

// bucket is a token bucket: burst at once, rate a second in the long run.
type bucket struct {
	rate, burst float64

	mu    sync.Mutex // guards the following
	level float64
	at    time.Time
}

func newBucket(rate, burst int) *bucket {
	return &bucket{rate: float64(rate), burst: float64(burst), level: float64(burst), at: time.Now()}
}

// allow tells whether one more may pass now.
func (b *bucket) allow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.level = min(b.burst, b.level+now.Sub(b.at).Seconds()*b.rate)
	b.at = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}

// An id of a connection, a request or a message is 11 bytes as 16 characters,
// the last of them "=", as in recorded events.
const (
	idLen     = 11
	idTextLen = 16
	idRandom  = 7
)

// ids makes the ids of connections. They prove that they were given out, so
// that an id without a connection is either closed (410) or never was (403)
// without a list of all that ever were.
type ids [16]byte

func newIDs() (key ids) {
	rand.Read(key[:])
	return key
}

func (key *ids) next() string {
	var b [idLen]byte
	rand.Read(b[:idRandom])
	key.prove(&b)
	return base64.URLEncoding.EncodeToString(b[:])
}

// gaveOut tells whether next once returned id.
func (key *ids) gaveOut(id string) bool {
	given, err := base64.URLEncoding.DecodeString(id)
	if err != nil || len(given) != idLen {
		return false
	}
	want := [idLen]byte(given)
	key.prove(&want)
	return subtle.ConstantTimeCompare(given, want[:]) == 1
}

// prove puts the proof of the random bytes behind them.
func (key *ids) prove(b *[idLen]byte) {
	h := hmac.New(sha256.New, key[:])
	h.Write(b[:idRandom])
	copy(b[idRandom:], h.Sum(nil))
}

// newID names a request or a message.
func newID() string {
	var b [idLen]byte
	rand.Read(b[:])
	return base64.URLEncoding.EncodeToString(b[:])
}

// newUUID names an invocation.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
