package origin_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/coder/websocket"

	"culvert/internal/wire"
	"culvert/origin"
)

const (
	awsKey    = "AKIDEXAMPLE"
	awsSecret = "wJalrXUtnFEMI"
	awsRegion = "eu-west-1"
)

// apiGateway is the least of one: what comes by a WebSocket is handed on, what
// is posted goes to its WebSocket. test/emulator is a faithful one.
type apiGateway struct {
	*httptest.Server
	signer *wire.Signer
	client http.Client
	to     atomic.Pointer[string]   // where messages are handed
	route  func(wire.Handed) string // or there, if it is not nil

	mu      sync.Mutex // guards the following
	conns   map[string]*websocket.Conn
	refused map[int]int // answers of the origin other than 204
	posts   int
	deleted chan string
	raw     map[string]chan []byte // what is posted to connections that a RawClient has
}

func newAPIGateway(t *testing.T, keys wire.GateKeys) *apiGateway {
	a := &apiGateway{signer: wire.NewSigner(keys), conns: map[string]*websocket.Conn{}, refused: map[int]int{},
		deleted: make(chan string, 16), raw: map[string]chan []byte{}}
	a.Server = httptest.NewTLSServer(a)
	t.Cleanup(func() { a.CloseClientConnections(); a.Close() })
	return a
}

// gateway is what an origin is told of a.
func (a *apiGateway) gateway() origin.Gateway {
	at, _ := url.Parse(a.URL + "/v1")
	return origin.Gateway{
		URL: at, Region: awsRegion, Client: a.Client(),
		Credentials: credentials.NewStaticCredentialsProvider(awsKey, awsSecret, ""),
	}
}

func (a *apiGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if id, ok := strings.CutPrefix(r.URL.Path, "/v1/@connections/"); ok {
		a.serveConnection(w, r, id)
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	ws.SetReadLimit(wire.MaxText)
	a.mu.Lock()
	id := fmt.Sprintf("L0SM9cOF%04d=", len(a.conns))
	a.conns[id] = ws
	a.mu.Unlock()
	for {
		_, text, err := ws.Read(context.Background())
		if err != nil {
			a.hand(wire.Handed{Event: wire.Disconnect, Conn: id})
			return
		}
		go a.hand(wire.Handed{Event: wire.Message, Conn: id, Text: text})
	}
}

func (a *apiGateway) hand(h wire.Handed) {
	to := *a.to.Load()
	if a.route != nil {
		to = a.route(h)
	}
	status, err := post(&a.client, to, a.signer.Sign(h, time.Now()))
	if err != nil || status != http.StatusNoContent {
		a.mu.Lock()
		a.refused[status]++
		a.mu.Unlock()
	}
}

func post(c *http.Client, to string, body []byte) (status int, err error) {
	res, err := c.Post(to, "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

func (a *apiGateway) serveConnection(w http.ResponseWriter, r *http.Request, id string) {
	text, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	a.posts++
	ws := a.conns[id]
	a.mu.Unlock()
	switch {
	case !isSigned(r, text):
		w.WriteHeader(http.StatusForbidden)
	case ws == nil && len(id) <= len("a="): // open, as far as the origin can tell
		select {
		case a.posted(id) <- text:
		default: // nobody listens
		}
	case ws == nil:
		w.WriteHeader(http.StatusGone)
	case r.Method == http.MethodDelete:
		ws.CloseNow()
		a.deleted <- id
		w.WriteHeader(http.StatusNoContent)
	case ws.Write(r.Context(), websocket.MessageText, text) != nil:
		w.WriteHeader(http.StatusGone)
	}
}

// posted is what comes for the connection id, which no client of ours has opened.
func (a *apiGateway) posted(id string) chan []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.raw[id] == nil {
		a.raw[id] = make(chan []byte, 16)
	}
	return a.raw[id]
}

// isSigned signs the request again, as its key's owner would, and compares.
func isSigned(r *http.Request, body []byte) bool {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || time.Since(at).Abs() > 5*time.Minute {
		return false
	}
	again := httptest.NewRequest(r.Method, "https://"+r.Host+r.URL.EscapedPath(), nil)
	again.ContentLength = r.ContentLength
	_, names, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	names, _, _ = strings.Cut(names, ",")
	for name := range strings.SplitSeq(names, ";") {
		if v := r.Header.Get(name); v != "" {
			again.Header.Set(name, v)
		}
	}
	hash := sha256.Sum256(body)
	keys := aws.Credentials{AccessKeyID: awsKey, SecretAccessKey: awsSecret}
	err = v4.NewSigner().SignHTTP(r.Context(), keys, again, hex.EncodeToString(hash[:]), "execute-api", awsRegion, at)
	return err == nil && again.Header.Get("Authorization") == r.Header.Get("Authorization")
}
