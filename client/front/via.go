package front

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/proxy"

	"culvert/client/look"
	"culvert/internal/dial"
	"culvert/internal/link"
)

// proxyTimeout bounds the way to a proxy and what it does to reach the front.
const proxyTimeout = 10 * time.Second

// maxProxyAnswer bounds the header of a proxy's answer.
const maxProxyAnswer = 16 << 10

// proxyFails keeps what one Open's connections to a proxy fail by from counting as failures of several Opens.
type proxyFails struct {
	mu      sync.Mutex // guards the following
	counted int        // as so many failures
}

// more is by how much weight is beyond what was counted, and is counted then.
func (p *proxyFails) more(weight int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	beyond := max(weight-p.counted, 0)
	p.counted += beyond
	return beyond
}

// via is the way to e through a proxy, if it is reached by one.
func (d *Dialer) via(e dial.Endpoint, fails *proxyFails) dial.Via {
	to := net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
	u := d.Proxy.to(to)
	if u == nil {
		return nil
	}
	return func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, proxyTimeout)
		defer cancel()
		if strings.HasPrefix(u.Scheme, "socks5") {
			return d.bySOCKS(ctx, u, to)
		}
		return d.byHTTP(ctx, u, to, fails)
	}
}

// proxyError is what went wrong at a proxy. It has no names, addresses or passwords.
type proxyError struct {
	what string
	err  error
}

func (e *proxyError) Error() string { return e.what }
func (e *proxyError) Unwrap() error { return e.err }

const checkProxy = "; check --via, HTTPS_PROXY and ALL_PROXY"

func describeProxy(err error) string {
	var p *proxyError
	switch {
	case !errors.As(err, &p):
		return ""
	case errors.Is(p.err, context.Canceled):
		return "given up"
	}
	return p.what
}

// unanswered is why a proxy did not answer, which was reached or not.
func unanswered(ctx context.Context, reached bool, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return &proxyError{"given up", ctx.Err()}
	case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded):
		return &proxyError{"the proxy does not answer in time" + checkProxy, context.DeadlineExceeded}
	case !reached:
		return &proxyError{"the proxy cannot be reached" + checkProxy, err}
	case wasCut(err):
		return &proxyError{"the proxy breaks the connection off; try another front or proxy", err}
	}
	return &proxyError{"what answers is no such proxy" + checkProxy, err}
}

// toProxy connects to the proxy itself, and speaks TLS with it if it is to be. Its look gives way to the next as a
// front's does.
func (d *Dialer) toProxy(ctx context.Context, u *url.URL, fails *proxyFails) (net.Conn, error) {
	raw, err := d.dialTCP(ctx, u.Host)
	if err != nil || u.Scheme != "https" {
		return raw, err
	}
	f := link.Front{Host: u.Host}
	m := d.memory(f)
	worn := m.current()
	conn, err := worn.look.Handshake(ctx, raw, look.Config{Name: f.ServerName(), Verify: d.verifier(f)})
	if err != nil {
		raw.Close()
		if d.fixedLook(f) == nil {
			m.failed(worn, fails.more(banWeight(err)))
		}
		return nil, err
	}
	m.worked(worn, false)
	return conn, nil
}

// byHTTP has a proxy connect to host:port by CONNECT (RFC 9110, section 9.3.6).
func (d *Dialer) byHTTP(ctx context.Context, u *url.URL, to string, fails *proxyFails) (net.Conn, error) {
	conn, err := d.toProxy(ctx, u, fails)
	if err != nil {
		return nil, unanswered(ctx, false, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	answer, err := d.askConnect(conn, u, to)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, unanswered(ctx, true, err)
	}
	if err := refusedByProxy(answer); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// askConnect sends a CONNECT, and reads the answer to it and not a byte more, unless a
// proxy speaks before the front does, which then fails the handshake.
func (d *Dialer) askConnect(conn net.Conn, u *url.URL, to string) (*http.Response, error) {
	var more []string
	if u.User != nil {
		password, _ := u.User.Password()
		more = []string{"Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))}
	}
	head := d.memory(link.Front{Host: u.Host}).current().look.AppendConnect(nil, to, more...)
	if _, err := conn.Write(head); err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxProxyAnswer)), &http.Request{Method: http.MethodConnect})
}

func refusedByProxy(answer *http.Response) error {
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusProxyAuthRequired, code == http.StatusUnauthorized: // the latter is tinyproxy's
		return errProxyAuth
	default:
		return &proxyError{fmt.Sprintf("the proxy does not connect to the front (HTTP status %d); try another front or proxy", code), nil}
	}
}

var errProxyAuth = &proxyError{"the proxy wants another name or password" + checkProxy, nil}

// bySOCKS has a proxy connect to host:port by SOCKS5 (RFC 1928).
func (d *Dialer) bySOCKS(ctx context.Context, u *url.URL, to string) (net.Conn, error) {
	var auth *proxy.Auth
	if u.User != nil {
		password, _ := u.User.Password()
		auth = &proxy.Auth{User: u.User.Username(), Password: password}
	}
	way := &forward{d: d, u: u}
	socks, err := proxy.SOCKS5("tcp", u.Host, auth, way)
	if err != nil {
		return nil, unanswered(ctx, true, err)
	}
	if _, err = socks.(proxy.ContextDialer).DialContext(ctx, "tcp", to); err != nil {
		return nil, refusedBySOCKS(ctx, way.conn != nil, err)
	}
	return way.conn, nil // the library's has nothing to add, and hides what is beneath
}

// refusedBySOCKS tells apart what the library has no errors of its own for.
func refusedBySOCKS(ctx context.Context, reached bool, err error) error {
	switch text := err.Error(); {
	case !reached || ctx.Err() != nil:
	case strings.Contains(text, "authenti"):
		return errProxyAuth
	case strings.Contains(text, "unknown error"):
		return &proxyError{"the proxy does not connect to the front; try another front or proxy", err}
	}
	return unanswered(ctx, reached, err)
}

// forward is the way to a SOCKS5 proxy, of which it keeps the connection.
type forward struct {
	d    *Dialer
	u    *url.URL
	conn net.Conn
}

// Dial is there for the library's sake, which prefers DialContext.
func (f *forward) Dial(network, address string) (net.Conn, error) {
	return f.DialContext(context.Background(), network, address)
}

// DialContext connects to the proxy, without TLS.
func (f *forward) DialContext(ctx context.Context, _, _ string) (conn net.Conn, err error) {
	if conn, err = f.d.dialTCP(ctx, f.u.Host); err == nil {
		f.conn = conn
	}
	return conn, err
}
