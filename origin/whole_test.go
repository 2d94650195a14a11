package origin_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/internal/wire"
	"culvert/origin"
)

// unwell is the way to an API Gateway that fails now and then.
type unwell struct {
	http.RoundTripper
	requests atomic.Int64
}

// RoundTrip loses every tenth request or its answer.
func (u *unwell) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(rand.N(3 * time.Millisecond))
	status := 0
	switch u.requests.Add(1) % 40 {
	default:
		return u.RoundTripper.RoundTrip(r)
	case 3:
		status = http.StatusTooManyRequests
	case 13:
		status = http.StatusInternalServerError
	case 23:
		if res, err := u.RoundTripper.RoundTrip(r); err == nil {
			res.Body.Close()
		}
		return nil, io.ErrUnexpectedEOF
	case 33:
		return nil, io.ErrUnexpectedEOF
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// Nothing is lost, and nothing comes twice, on the way to an API Gateway that
// fails.
func TestAStreamIsWholeThoughPostsFail(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	x, a := n.gatewayNode(t, func(c *origin.Config) {
		c.Gateway.Client = &http.Client{Transport: &unwell{RoundTripper: c.Gateway.Client.Transport}}
	})
	c := startClient(t, n.master.Client(1), a.front())
	app, stream := net.Pipe()
	defer app.Close()
	c.Carry(stream, wire.Service{Kind: wire.Media}, []byte("x"))
	far := <-x.streams
	defer far.Close()
	wantRead(t, far, "x")
	data := make([]byte, 4<<20)
	rand.NewChaCha8([32]byte{}).Read(data)
	var all sync.WaitGroup
	for _, way := range [][2]net.Conn{{app, far}, {far, app}} {
		from, to := way[0], way[1]
		from.SetDeadline(time.Now().Add(30 * time.Second))
		all.Go(func() { from.Write(data) })
		all.Go(func() {
			got := make([]byte, len(data))
			if _, err := io.ReadFull(to, got); err != nil || !bytes.Equal(got, data) {
				t.Errorf("got %v or other bytes, want what was sent", err)
			}
		})
	}
	all.Wait()
	if x.count(t, "culvert_post_repeats_total", "failed") == 0 {
		t.Error("got no post that was repeated")
	}
}
