// Package passthrough is an edge that passes WebSockets and plain reads on to
// one origin and opens no frame. It knows no token: the origin decides who is
// admitted and shows everyone else the site, and the edge shows the same site
// whenever the origin cannot answer, so that nobody outside learns which.
//
// What names or describes the user stays behind: of the request's headers only
// those in passedOn go to the origin, and nothing of a request is logged.
package passthrough

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"culvert/internal/guise"
	"culvert/internal/netpoll"
	"culvert/internal/share"
)

// Options are what a Proxy may be told; all of them are optional.
type Options struct {
	Roots      *x509.CertPool        // who may sign the origin's certificate, or that certificate itself; nil: the system's
	MaxSockets int                   // WebSockets open at once; when there are more, the user with most loses the oldest. 0: DefaultMaxSockets
	Idle       time.Duration         // a socket without a byte either way for this long, twice at most, is closed. 0: DefaultIdle
	Log        *slog.Logger          // nil: no logs
	Metrics    prometheus.Registerer // nil: no metrics
	Site       http.Handler          // what strangers see while the origin does not answer; nil: the one that Learn sees there
}

// DefaultMaxSockets keeps an edge under 1.5 GB: a socket over TLS both ways
// costs about 100 kB once it has carried full records (TestIdleSocketsHoldNoLargeBuffer
// bounds the part that is ours).
const DefaultMaxSockets = 10_000

// DefaultIdle is above the 10 minutes after which CloudFront and API Gateway
// cut, so that an edge is never the stricter one. Carriers ping more often.
const DefaultIdle = 15 * time.Minute

// Proxy is the http.Handler. Its methods may be called at once by many. Whoever
// makes one drains it in the end.
type Proxy struct {
	reverse   httputil.ReverseProxy
	transport *http.Transport
	site      *likeness
	log       *slog.Logger
	count     counters
	sockets   sockets
	poller    netpoll.Poller                // where the connections of sockets rest
	tasks     sync.WaitGroup                // all goroutines of sockets
	users     *share.Pool[uint32, struct{}] // the sockets of each that the origin has admitted
	idle      time.Duration
	restless  time.Duration
	down      atomic.Bool // the origin did not answer the last time
}

// New passes on to origin: scheme http or https, host, and optionally a path
// that is put in front of every request's. It panics if the metrics are
// registered already.
func New(origin *url.URL, o Options) *Proxy {
	p := &Proxy{
		site: newLikeness(o.Site), idle: cmp.Or(o.Idle, DefaultIdle), restless: restless, transport: newTransport(o.Roots),
		log: cmp.Or(o.Log, slog.New(slog.DiscardHandler)), users: share.NewPool[uint32, struct{}](cmp.Or(o.MaxSockets, DefaultMaxSockets)),
	}
	p.poller.Go = func(f func()) bool { p.task(f); return true }
	p.count = newCounters(o.Metrics, p.users.Displaced)
	p.reverse = httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { rewrite(r, origin) },
		Transport:      p.transport,
		FlushInterval:  -1,
		BufferPool:     pool{},
		ModifyResponse: p.answer,
		ErrorHandler:   p.instead,
		ErrorLog:       log.New(io.Discard, "", 0), // its lines hold addresses; instead() counts what matters
	}
	return p
}

// ServeHTTP returns when the answer is complete or there is a socket, which goes on without it. Only
// GET and HEAD without a body reach the origin: that is all its doors take
// here, and the site answers the rest as the origin would.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 || r.Method != http.MethodGet && r.Method != http.MethodHead {
		p.site.ServeHTTP(w, r)
		return
	}
	x := &exchange{ResponseWriter: w, in: r, proxy: p}
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), exchangeKey{}, x))
	x.cancel = cancel
	defer cancel()
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
// socket is admitted from the call on, and no goroutine of a socket is left
// afterwards.
func (p *Proxy) Drain(ctx context.Context) error {
	defer p.transport.CloseIdleConnections()
	err := p.sockets.drain(ctx, p.task)
	p.poller.Close()
	p.tasks.Wait()
	return err
}

// task runs f in a goroutine that Drain waits for. Whoever calls it is one, or has a part of sockets.
func (p *Proxy) task(f func()) { p.tasks.Go(f) }

// isSocket leaves out HTTP/1.0, which has no upgrades (RFC 9110, section 7.8), and HTTP/2, which has others.
func isSocket(r *http.Request) bool {
	return r.ProtoMajor == 1 && r.ProtoAtLeast(1, 1) && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
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
	x := res.Request.Context().Value(exchangeKey{}).(*exchange)
	switch res.StatusCode {
	case http.StatusSwitchingProtocols:
		return x.takeOver(res)
	case http.StatusPreconditionFailed:
		guise.EndUnsaid(x.ResponseWriter, x.in)
	}
	for _, name := range keptBack {
		res.Header.Del(name)
	}
	return nil
}

// instead is called when the origin gave no answer that can be shown.
func (p *Proxy) instead(w http.ResponseWriter, _ *http.Request, err error) {
	x := w.(*exchange)
	if err == errTaken {
		return
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

// passedOn are the request headers that the origin gets; ReverseProxy has
// removed the hop-by-hop ones already. A list of what may pass cannot forget a
// header that names the user, as a list of what may not would (X-Forwarded-For,
// Forwarded, X-Real-Ip, CloudFront-Viewer-Address, Cf-Connecting-Ip, ...).
// User-Agent, Origin and languages describe the user and serve nobody here, and of
// Accept-Encoding the origin hears whether a page may come packed. The names are
// spelled as net/http spells them.
var passedOn = []string{
	"Cookie",                // the token
	"Connection", "Upgrade", // as ReverseProxy set them, for a socket
	"Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions",
	"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range",
}

// keptBack are the headers of plain answers that tell what stands behind the
// edge; the site, which the edge shows when the origin is gone, has none of
// them. Date is the edge's own: net/http writes it in another place than one
// that was passed on.
var keptBack = []string{"Server", "Via", "Alt-Svc", "X-Powered-By", "Date"}

// rewrite sends the request to the origin under the origin's own name, so that
// the origin may stand behind a CDN that routes by Host, and so that the name
// that the user asked for stays here.
func rewrite(r *httputil.ProxyRequest, origin *url.URL) {
	r.SetURL(origin)
	maps.DeleteFunc(r.Out.Header, func(name string, _ []string) bool { return !slices.Contains(passedOn, name) })
	if !isSocket(r.In) {
		r.Out.Header.Del("Connection")
		r.Out.Header.Del("Upgrade")
	}
	if guise.TakesGzip(r.In) {
		r.Out.Header.Set("Accept-Encoding", "gzip")
	}
}

// The origin may take so long. An edge and its origin are well connected, so
// what takes longer is down, and the site must not come conspicuously late.
const (
	dialPatience      = 5 * time.Second
	handshakePatience = 5 * time.Second
	headerPatience    = 10 * time.Second
)

// idleAtOrigin is well below the 120 s after which the origin closes an idle
// connection, so that a request is not sent into one that is closing.
const idleAtOrigin = 60 * time.Second

// newTransport speaks HTTP/1.1 only (classic WebSockets need it) and asks no
// proxy. The origin's certificate is always verified, against the URL's host.
func newTransport(roots *x509.CertPool) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	dialer := net.Dialer{Timeout: dialPatience, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}}
	return &http.Transport{
		DialContext: dialer.DialContext,
		Protocols:   protocols,
		TLSClientConfig: &tls.Config{
			RootCAs:                     roots,
			MinVersion:                  tls.VersionTLS12,
			NextProtos:                  []string{"http/1.1"},
			DynamicRecordSizingDisabled: true, // 64 KiB writes go out as four records from the first on
			ClientSessionCache:          tls.NewLRUClientSessionCache(16),
		},
		TLSHandshakeTimeout:    handshakePatience,
		ResponseHeaderTimeout:  headerPatience,
		MaxResponseHeaderBytes: 16 << 10,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        idleAtOrigin,
		DisableCompression:     true,
	}
}

// reason names a failure without the addresses that network errors hold.
func reason(err error) string {
	var op *net.OpError
	var name *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || netpoll.Spent():
		return "open files are used up: set LimitNOFILE=1048576 in the systemd unit, or 'ulimit -n'"
	case errors.Is(err, errOrigin):
		return errOrigin.Error()
	case errors.Is(err, context.Canceled):
		return "stopped"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &name):
		return "its name does not resolve"
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return "its certificate is not valid: check CULVERT_ORIGIN_CA"
	case errors.As(err, &op):
		return op.Op + ": " + op.Err.Error()
	}
	return "no valid answer"
}

// counters of an edge. None has a label that a visitor chooses.
type counters struct {
	open   prometheus.Gauge   // how many WebSockets are being passed on?
	opened prometheus.Counter // how often do clients come?
	ended  prometheus.Counter // how many were ended for having been idle?
	failed prometheus.Counter // how often did the origin not answer?
	full   prometheus.Counter // do clients come while it stops?
	up     prometheus.Counter // bytes from users to the origin
	down   prometheus.Counter // bytes from the origin to users
}

func newCounters(r prometheus.Registerer, displaced func() uint64) counters {
	f := promauto.With(r)
	// Does a user have so many sockets that MaxSockets bites?
	f.NewCounterFunc(prometheus.CounterOpts{Name: "culvert_edge_sockets_displaced_total", Help: "WebSockets ended because others needed their place, and their user had most."},
		func() float64 { return float64(displaced()) })
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return counters{
		open:   f.NewGauge(prometheus.GaugeOpts{Name: "culvert_edge_sockets", Help: "WebSockets being passed on."}),
		opened: counter("culvert_edge_sockets_opened_total", "WebSockets that the origin admitted."),
		ended:  counter("culvert_edge_sockets_idle_total", "WebSockets ended because nothing moved for too long."),
		failed: counter("culvert_edge_origin_failures_total", "Requests that the origin did not answer and the site did."),
		full:   counter("culvert_edge_sockets_refused_total", "WebSockets refused because the edge is stopping."),
		up:     counter("culvert_edge_up_bytes_total", "Bytes passed from users to the origin."),
		down:   counter("culvert_edge_down_bytes_total", "Bytes passed from the origin to users."),
	}
}
