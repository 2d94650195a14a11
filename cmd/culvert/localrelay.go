package main

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"culvert/client/listener"
	"culvert/edge/passthrough"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/serve"
	"culvert/internal/site"
	"culvert/internal/whatsapp"
	"culvert/internal/wire"
	"culvert/origin"
	"culvert/test/standin"
)

// localRelay is the whole relay in this process: origin, edge and near end,
// each on a listener of its own, so that every byte takes the way that it takes
// between three machines.
type localRelay struct {
	upstream whatsapp.Upstream
	standIn  *standin.Server // nil: WhatsApp itself
	trust    trust
	gateway  *localGateway // nil: carriers go through the stream door

	originAt, edgeAt net.Addr
	carriers         *cutter // the edge's connections
	link             *link.Link
	near             *nearEnd
	metrics          *prometheus.Registry

	failed context.CancelCauseFunc // told why a part stopped by itself
	stops  []func()                // in the order of starting

	mu        sync.Mutex // guards the following
	dialError error      // the origin's last, of a service
}

// Limits of ending: of a part that drains, and of waiting for any part.
const (
	stopTime = time.Second
	stopWait = 3 * time.Second
)

// close ends what was started, the last first.
func (r *localRelay) close() {
	for i := len(r.stops) - 1; i >= 0; i-- {
		r.stops[i]()
	}
	r.stops = nil
}

// startStandIn replaces WhatsApp.
func (r *localRelay) startStandIn() error {
	s, err := standin.New()
	if err != nil {
		return err
	}
	r.stops = append(r.stops, func() { s.Close() })
	chat, err := listenHere()
	if err != nil {
		return err
	}
	media, err := listenHere()
	if err != nil {
		chat.Close()
		return err
	}
	go func() { r.fail(s.ServeChat(chat)) }()
	go func() { r.fail(s.ServeMedia(media)) }()
	r.standIn, r.trust = s, trust{root: s.Root(), cas: s.CAs()}
	r.upstream.Chat, r.upstream.Media, r.upstream.AllowPrivate = chat.Addr().String(), media.Addr().String(), true
	return nil
}

func listenHere() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

func (r *localRelay) fail(err error) {
	if err != nil {
		r.failed(err)
	}
}

// startOrigin starts the far end, on plain HTTP as behind a CDN.
func (r *localRelay) startOrigin(master seal.Master) error {
	ln, err := listenHere()
	if err != nil {
		return err
	}
	r.originAt = ln.Addr()
	cfg := origin.Config{Master: master, Dial: r.dial, Site: site.Handler()}
	if r.gateway != nil {
		r.gateway.forOrigin(&cfg, r.originAt)
	}
	o, err := origin.New(cfg)
	if err != nil {
		ln.Close()
		return err
	}
	r.serve(o.Wrap(ln), o, func(context.Context) error { return o.Close() })
	return nil
}

// dial is the origin's, and keeps what went wrong.
func (r *localRelay) dial(ctx context.Context, s wire.Service) (net.Conn, error) {
	conn, err := r.upstream.Dial(ctx, s)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.dialError = err
	}
	return conn, err
}

// whyNoDial is why the origin last failed to reach WhatsApp, if it did.
func (r *localRelay) whyNoDial() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dialError
}

// startEdge starts the edge, with a certificate that the link will pin, and
// makes the link.
func (r *localRelay) startEdge(master seal.Master) error {
	cert, err := listener.NewChatCertificate(time.Now())
	if err != nil {
		return err
	}
	handler, drain, err := r.edge(master)
	if err != nil {
		return err
	}
	ln, err := listenHere()
	if err != nil {
		return err
	}
	r.edgeAt, r.carriers = ln.Addr(), &cutter{Listener: ln}
	secure := &tls.Config{
		Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"}, DynamicRecordSizingDisabled: true,
	}
	r.serve(tls.NewListener(r.carriers, secure), handler, drain)
	front := link.Front{Host: r.edgeAt.String(), Path: wire.DoorPath, Pins: []link.Pin{link.PinOf(cert.Leaf)}}
	if r.gateway != nil {
		front.Path, front.Gateway = "/"+gatewayStage, true
	}
	r.link = &link.Link{Keys: master.Client(1), Fronts: []link.Front{front}}
	return r.link.Validate()
}

// edge is what carriers go through.
func (r *localRelay) edge(master seal.Master) (http.Handler, func(context.Context) error, error) {
	if r.gateway != nil {
		return r.startGateway(master)
	}
	r.metrics = prometheus.NewRegistry()
	proxy, err := passthrough.New(&url.URL{Scheme: "http", Host: r.originAt.String()}, passthrough.Options{Metrics: r.metrics})
	if err != nil {
		return nil, nil, err
	}
	return proxy, proxy.Drain, nil
}

// serve runs h until close.
func (r *localRelay) serve(ln net.Listener, h http.Handler, drain func(context.Context) error) {
	service := serve.Service{
		Listener: ln, Handler: h, Admin: serve.Off, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
		DrainFor: stopTime, Drain: drain,
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := service.Run(ctx); ctx.Err() == nil {
			r.fail(err)
		}
	}()
	r.stops = append(r.stops, func() { cancel(); await(done) })
}

// await waits for done, but not for longer than a person would.
func await(done <-chan struct{}) {
	select {
	case <-done:
	case <-time.After(stopWait):
	}
}

// openNear opens the app's listeners.
func (r *localRelay) openNear(ctx context.Context, o *nearOptions, logs io.Writer) (err error) {
	if r.near, err = openNearEnd(ctx, r.link, o, logs); err == nil {
		r.stops = append(r.stops, r.near.close)
	}
	return err
}

// startNear carries the app's connections until close.
func (r *localRelay) startNear() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.fail(r.near.serve(ctx)) }()
	r.stops = append(r.stops, func() { cancel(); await(done) })
}

// traffic is what the edge has passed on, live, sealed and with all that the
// relay adds; API Gateway counts messages, so there it is the app's bytes.
func (r *localRelay) traffic() traffic {
	if r.gateway != nil {
		s := r.near.client.Status()
		return traffic{s.Sent, s.Received}
	}
	return traffic{r.counter("culvert_edge_up_bytes_total"), r.counter("culvert_edge_down_bytes_total")}
}

// opened is how many carriers there were.
func (r *localRelay) opened() int { return r.carriers.accepted() }

func (r *localRelay) counter(name string) uint64 {
	families, err := r.metrics.Gather()
	if err != nil {
		return 0
	}
	for _, f := range families {
		if f.GetName() == name && len(f.GetMetric()) > 0 {
			return uint64(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	return 0
}
