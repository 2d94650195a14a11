package passthrough

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"culvert/internal/wire"
)

// exchange is one request, until it is answered or has become a socket. It is the ResponseWriter that ReverseProxy
// gets.
type exchange struct {
	http.ResponseWriter
	in     *http.Request // as it came: the site answers this one, not what was rewritten
	proxy  *Proxy
	cancel context.CancelFunc
	origin net.Conn // the connection that the request went out on
}

type exchangeKey struct{}

// Unwrap lets http.ResponseController flush.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// cut ends what waits for the origin.
func (x *exchange) cut() { x.cancel() }

var (
	// errSwitch means that the origin switched protocols on no connection we know, or to another one.
	errSwitch = errors.New("origin switches protocols out of turn")

	// errTaken means that the exchange is a socket: nothing more is said to the user by HTTP, nor to the origin.
	errTaken = errors.New("it has become a socket")
)

// takeOver makes the origin's answer 101 into a socket, of which both connections are its own from then on. The
// error is errTaken; so ReverseProxy, which would keep three goroutines, the request and buffers for as long as the
// socket is open, returns at once, and net/http with it.
func (x *exchange) takeOver(res *http.Response) error {
	if x.origin == nil || !isSocket(x.in) || !strings.EqualFold(res.Header.Get("Upgrade"), "websocket") {
		return errSwitch
	}
	ahead := readAhead(res.Body, x.origin)
	res.Body = nil
	user, early, err := x.answer(res)
	res.Body = http.NoBody // this is what ReverseProxy closes
	if err != nil {
		x.origin.Close()
		if user != nil {
			user.Close()
		}
		return errTaken
	}
	x.proxy.newSocket(user, early, x.origin, ahead, userOf(x.in)).start()
	return errTaken
}

// answer hands the user's connection over and writes the origin's answer to it, as ReverseProxy does. What the user
// sent before it heard of that is early: net/http has buffered it.
func (x *exchange) answer(res *http.Response) (user net.Conn, early []byte, err error) {
	user, buffered, err := http.NewResponseController(x.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	b, err := buffered.Reader.Peek(buffered.Reader.Buffered())
	if err != nil {
		return user, nil, err
	}
	early = slices.Clone(b)
	header := x.Header()
	for name, values := range res.Header {
		header[name] = append(header[name], values...)
	}
	res.Header = header
	if err := res.Write(buffered); err != nil {
		return user, nil, err
	}
	return user, early, buffered.Flush()
}

// userOf is whose socket r asked for, by its token: the origin has believed that, or there
// would be no socket. 0 if there is none.
func userOf(r *http.Request) uint32 {
	cookie, err := r.Cookie(wire.TokenCookie)
	if err != nil {
		return 0
	}
	text, _, _ := wire.CutAhead(cookie.Value)
	token, err := wire.ParseToken(text)
	if err != nil {
		return 0
	}
	return token.User()
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// readNow reads what from has decrypted or buffered already and does not wait:
// above all the rest of a TLS record. c is the connection below from.
func readNow(from io.Reader, c net.Conn, b []byte) (int, error) {
	if err := c.SetReadDeadline(longAgo); err != nil {
		return 0, err
	}
	n, err := from.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return n, errors.Join(err, c.SetReadDeadline(time.Time{}))
}

// readAhead returns what the transport read behind the headers of an answer
// 101, at most its 4 KiB buffer. An error comes again at the next read.
func readAhead(body io.Reader, c net.Conn) []byte {
	b := make([]byte, 4<<10)
	n, _ := readNow(body, c, b)
	if n == 0 {
		return nil
	}
	return slices.Clone(b[:n])
}
