package emulator

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/coder/websocket"
)

// patience bounds every wait of a test on real sockets.
const patience = 20 * time.Second

var owner = aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret", SessionToken: "session"}

// pipes is a network of connections in memory, for bubbles of synctest.
type pipes struct {
	conns chan net.Conn
	gone  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), gone: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.gone:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.gone) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.gone:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// rig is a gateway with a door.
type rig struct {
	t    *testing.T
	gate *Gateway
	http *http.Client
	door *pipes

	mu    sync.Mutex
	notes []string
}

// bubble runs test with a gateway without routes, inside a bubble of synctest:
// it fails if anything still runs at the end.
func bubble(t *testing.T, o Options, test func(*testing.T, *rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o.Credentials = owner
		r := &rig{t: t, gate: New(Routes{}, o), door: newPipes()}
		srv := &http.Server{Handler: r.gate}
		go srv.Serve(r.door)
		transport := &http.Transport{DialContext: r.door.dial}
		r.http = &http.Client{Transport: transport}
		defer func() {
			r.gate.Close()
			transport.CloseIdleConnections()
			srv.Close()
		}()
		test(t, r)
	})
}

func (r *rig) note(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, s)
}

func (r *rig) noted() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.notes)
}

// handler is a function of the test's own.
type handler func(ctx context.Context, payload []byte) ([]byte, error)

func (h handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) { return h(ctx, payload) }

// says is a function that answers always the same.
func says(reply string) Function {
	return handler(func(context.Context, []byte) ([]byte, error) { return []byte(reply), nil })
}

const ok = `{"statusCode":200}`

func (r *rig) try(o websocket.DialOptions) (*websocket.Conn, *http.Response, error) {
	o.HTTPClient = r.http
	c, res, err := websocket.Dial(r.t.Context(), "ws://gateway.example/v1?a=1&b=2&b=3", &o)
	if err == nil {
		c.SetReadLimit(-1)
	}
	return c, res, err
}

func (r *rig) connect() *websocket.Conn {
	r.t.Helper()
	c, _, err := r.try(websocket.DialOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait() // until the gateway has written the handshake's answer off
	r.t.Cleanup(func() { c.CloseNow() })
	return c
}

// id is that of the only connection.
func (r *rig) id() string {
	r.gate.mu.Lock()
	defer r.gate.mu.Unlock()
	for id := range r.gate.conns {
		return id
	}
	return ""
}

// api is the SDK's client, without retries.
func (r *rig) api(as aws.Credentials) *apigatewaymanagementapi.Client {
	return apigatewaymanagementapi.New(apigatewaymanagementapi.Options{
		BaseEndpoint:     aws.String("http://gateway.example/v1"),
		Region:           "us-east-1",
		HTTPClient:       r.http,
		RetryMaxAttempts: 1,
		Credentials:      credentials.StaticCredentialsProvider{Value: as},
	})
}

func (r *rig) post(id, text string) error {
	in := apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &id, Data: []byte(text)}
	_, err := r.api(owner).PostToConnection(r.t.Context(), &in)
	return err
}

// status is that of a call's answer.
func status(err error) int {
	var res *awshttp.ResponseError
	if errors.As(err, &res) {
		return res.HTTPStatusCode()
	}
	return 0
}

func (r *rig) send(c *websocket.Conn, text string) {
	r.t.Helper()
	if err := c.Write(r.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) receive(c *websocket.Conn) string {
	r.t.Helper()
	kind, b, err := c.Read(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	if kind != websocket.MessageText {
		r.t.Errorf("got a %v, want text", kind)
	}
	return string(b)
}

// closed waits for the connection's end: -1 without a close frame.
func closed(t *testing.T, c *websocket.Conn) websocket.StatusCode {
	t.Helper()
	for {
		if _, _, err := c.Read(t.Context()); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}
