// Package passthrough is an edge that passes WebSockets and plain reads on to
// one origin and opens no frame. It knows no token: the origin decides who is
// admitted and shows everyone else the site, and the edge shows the same site
// whenever the origin cannot answer, so that nobody outside learns which.
//
// What names or describes the user stays behind: of the request's headers only
// those in passedOn go to the origin, and nothing of a request is logged.
package passthrough

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"culvert/internal/site"
)

// Options are all optional.
type Options struct {
	Roots      *x509.CertPool        // who may sign the origin's certificate, or that certificate itself; nil: the system's
	MaxSockets int                   // WebSockets open at once; more see the site. 0: DefaultMaxSockets
	Idle       time.Duration         // a socket without a byte either way for this long, twice at most, is closed. 0: DefaultIdle
	Log        *slog.Logger          // nil: no logs
	Metrics    prometheus.Registerer // nil: no metrics
}

// DefaultMaxSockets keeps an edge under 1.5 GB: a socket over TLS both ways
// costs about 100 kB once it has carried full records (TestIdleSocketsHoldNoLargeBuffer
// bounds the part that is ours).
const DefaultMaxSockets = 10_000

// DefaultIdle is above the 10 minutes after which CloudFront and API Gateway
// cut, so that an edge is never the stricter one. Carriers ping more often.
const DefaultIdle = 15 * time.Minute

// Proxy is the http.Handler. Its methods may be called at once by many.
type Proxy struct {
	reverse httputil.ReverseProxy
	site    http.Handler
	log     *slog.Logger
	count   counters
	sockets sockets
	idle    time.Duration
	down    atomic.Bool // the origin did not answer the last time
}

// New passes on to origin: scheme http or https, host, and optionally a path
// that is put in front of every request's. It fails only if the metrics are
// registered already.
func New(origin *url.URL, o Options) (*Proxy, error) {
	count, err := newCounters(o.Metrics)
	if err != nil {
		return nil, err
	}
	p := &Proxy{site: site.Handler(), log: o.Log, count: count, idle: o.Idle}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.idle == 0 {
		p.idle = DefaultIdle
	}
	p.sockets.max = o.MaxSockets
	if p.sockets.max == 0 {
		p.sockets.max = DefaultMaxSockets
	}
	p.reverse = httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { rewrite(r, origin) },
		Transport:      newTransport(o.Roots),
		FlushInterval:  -1,
		BufferPool:     pool{},
		ModifyResponse: p.answer,
		ErrorHandler:   p.instead,
		ErrorLog:       log.New(io.Discard, "", 0), // its lines hold addresses; instead() counts what matters
	}
	return p, nil
}

// ServeHTTP returns when the answer is complete or the socket has ended. Only
// GET and HEAD without a body reach the origin: that is all its doors take
// here, and the site answers the rest as the origin would.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 || r.Method != http.MethodGet && r.Method != http.MethodHead {
		p.site.ServeHTTP(w, r)
		return
	}
	x := &exchange{ResponseWriter: w, in: r, proxy: p}
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), exchangeKey{}, x))
	defer cancel()
	x.cancel = cancel
	if isSocket(r) {
		if !p.sockets.enter(x) {
			p.count.full.Inc()
			p.site.ServeHTTP(w, r)
			return
		}
		defer p.sockets.leave(x)
	}
	trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { x.origin = got.Conn }}
	p.reverse.ServeHTTP(x, r.WithContext(httptrace.WithClientTrace(ctx, trace)))
}

// Drain waits until the last socket has ended by itself or ctx is done, then
// ends those that are left. It returns ctx's error if there were any. No new
// socket is admitted from the call on.
func (p *Proxy) Drain(ctx context.Context) error { return p.sockets.drain(ctx) }

// isSocket leaves out HTTP/1.0, which has no upgrades (RFC 9110, section 7.8).
func isSocket(r *http.Request) bool {
	return r.ProtoAtLeast(1, 1) && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// errOrigin means that something in front of the origin, or the origin in
// distress, answered: nothing a visitor should see.
var errOrigin = errors.New("origin answers with a server error")

// answer is called with whatever the origin answered.
func (p *Proxy) answer(res *http.Response) error {
	if res.StatusCode >= 500 {
		return errOrigin
	}
	p.mark("")
	if res.StatusCode == http.StatusSwitchingProtocols {
		return res.Request.Context().Value(exchangeKey{}).(*exchange).takeOver(res)
	}
	for _, name := range keptBack {
		res.Header.Del(name)
	}
	return nil
}

// instead is called when the origin gave no answer that can be shown.
func (p *Proxy) instead(w http.ResponseWriter, _ *http.Request, err error) {
	x := w.(*exchange)
	if x.user != nil {
		return // the user's end is a socket already; it is being closed
	}
	if x.in.Context().Err() == nil {
		p.count.failed.Inc()
		p.mark(reason(err))
	}
	p.site.ServeHTTP(x.ResponseWriter, x.in)
}

// mark logs when the origin goes and when it comes back, not each request.
func (p *Proxy) mark(failure string) {
	failed := failure != ""
	if p.down.Load() == failed || p.down.Swap(failed) == failed {
		return
	}
	if failed {
		p.log.Warn("origin does not answer: showing the site", "reason", failure)
	} else {
		p.log.Info("origin answers again")
	}
}
