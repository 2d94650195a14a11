package passthrough

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
)

// exchange is one request and, once the origin has admitted it, the socket
// that it became. It is the ResponseWriter that ReverseProxy gets, which hands
// the user's connection over through Hijack.
type exchange struct {
	http.ResponseWriter
	in     *http.Request // as it came: the site answers this one, not what was rewritten
	proxy  *Proxy
	cancel context.CancelFunc
	origin net.Conn // the connection that the request went out on
	user   *end     // nil until Hijack
	moved  atomic.Bool
	watch  atomic.Pointer[time.Timer] // nil: no socket
}

type exchangeKey struct{}

// Unwrap lets http.ResponseController flush.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// Hijack is called once the origin has switched protocols. What the user sent
// before it heard of that is kept: ReverseProxy reads the connection alone and
// would lose what net/http has buffered.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(x.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, err := buffered.Reader.Peek(buffered.Reader.Buffered())
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	x.user = newEnd(conn, slices.Clone(early), x.proxy.count.up, &x.moved)
	return x.user, buffered, nil
}

// errSwitch means that the origin switched protocols on no connection we know.
var errSwitch = errors.New("origin switches protocols out of turn")

// takeOver makes the origin's answer 101 into the socket's far end. The end
// has two owners: ReverseProxy closes it, and the watch below ends the socket
// if nothing moves.
func (x *exchange) takeOver(res *http.Response) error {
	if x.origin == nil || !isSocket(x.in) {
		return errSwitch
	}
	far := newEnd(x.origin, readAhead(res.Body, x.origin), x.proxy.count.down, &x.moved)
	res.Body = far
	x.proxy.count.opened.Inc()
	x.proxy.count.open.Inc()
	x.moved.Store(true)
	watch := time.AfterFunc(time.Hour, x.idle)
	x.watch.Store(watch)
	watch.Reset(x.proxy.idle) // only now: idle looks for the timer
	far.closed = func() {
		x.watch.Store(nil)
		watch.Stop()
		x.proxy.count.open.Dec()
	}
	return nil
}

// idle runs once a period and ends the socket if nothing has moved in it.
func (x *exchange) idle() {
	watch := x.watch.Load()
	switch {
	case watch == nil: // ended meanwhile
	case x.moved.Swap(false):
		watch.Reset(x.proxy.idle)
	default:
		x.proxy.count.ended.Inc()
		x.cancel()
	}
}
