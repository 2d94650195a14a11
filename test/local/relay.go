// Package local is the whole relay on one machine, in one process: for the
// command of that name, which shows it to people, and for tests.
package local

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"culvert/client/doctor"
	"culvert/client/listener"
	"culvert/client/nearend"
	"culvert/edge/passthrough"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/serve"
	"culvert/internal/site"
	"culvert/internal/term"
	"culvert/internal/whatsapp"
	"culvert/internal/wire"
	"culvert/origin"
	"culvert/test/standin"
)

// Relay is the whole relay in this process: origin, edge and near end, each on a
// listener of its own, so that every byte takes the way that it takes between
// three machines. StartStandIn, StartOrigin, StartEdge, OpenNear and Connect are
// called one after another, in this order; without StartStandIn the origin
// connects to Upstream. Whoever called one of them calls Close. The fields of
// the second group are set by the methods that start what they name.
type Relay struct {
	Upstream *whatsapp.Upstream // where the origin connects; StartStandIn replaces it
	Trust    doctor.Trust       // whom to take for WhatsApp
	Gateway  *Gateway           // not nil: carriers go through the gateway door
	Worker   *Worker            // not nil: the edge is a Cloudflare Worker, behind TLS as there
	Failed   func(error)        // told why a part stopped by itself; required

	OriginAt, EdgeAt net.Addr
	Carriers         *Cutter // the edge's connections
	Link             *link.Link
	Near             *nearend.NearEnd

	standIn *standin.Server // nil: WhatsApp itself
	metrics *prometheus.Registry
	stops   []func() // in the order of starting

	mu        sync.Mutex // guards the following
	dialError error      // the origin's last, of a service
}

// stopTime is how long a part may take to drain.
const stopTime = time.Second

// Close ends what was started, the last first, and waits for it.
func (r *Relay) Close() {
	for i := len(r.stops) - 1; i >= 0; i-- {
		r.stops[i]()
	}
	r.stops = nil
}

// StandIn is who takes WhatsApp's place, or nil.
func (r *Relay) StandIn() *standin.Server { return r.standIn }

// run has a part run until Close. A part that ends by itself has failed.
func (r *Relay) run(part func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := part(ctx); err != nil && ctx.Err() == nil {
			r.Failed(err)
		}
	}()
	r.stops = append(r.stops, func() { cancel(); <-done })
}

// StartStandIn starts what takes WhatsApp's place.
func (r *Relay) StartStandIn() error {
	s, err := standin.New()
	if err != nil {
		return err
	}
	chat, err := listenHere()
	if err != nil {
		return err
	}
	media, err := listenHere()
	if err != nil {
		chat.Close()
		return err
	}
	r.run(func(context.Context) error { return s.ServeChat(chat) })
	r.run(func(context.Context) error { return s.ServeMedia(media) })
	r.stops = append(r.stops, func() { s.Close() }) // first, so that both end
	r.standIn, r.Trust = s, doctor.Trust{Root: s.Root(), CAs: s.CAs()}
	r.Upstream = &whatsapp.Upstream{Chat: chat.Addr().String(), Media: media.Addr().String(), Web: media.Addr().String(), AllowPrivate: true}
	return nil
}

func listenHere() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

// StartOrigin starts the far end, on plain HTTP as behind a CDN.
func (r *Relay) StartOrigin(master seal.Master) error {
	ln, err := listenHere()
	if err != nil {
		return err
	}
	r.OriginAt = ln.Addr()
	cfg := origin.Config{Master: master, Dial: r.dial, Site: site.Handler()} // verifies by the key of master's gate
	if r.Gateway != nil {
		r.Gateway.forOrigin(&cfg, r.OriginAt)
		r.stops = append(r.stops, func() { r.Gateway.posts.Close() }) // in case no edge is started
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
func (r *Relay) dial(ctx context.Context, s wire.Service) (net.Conn, error) {
	conn, err := r.Upstream.Dial(ctx, s)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.dialError = err
	}
	return conn, err
}

// WhyNoDial is why the origin last failed to reach WhatsApp, if it did.
func (r *Relay) WhyNoDial() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dialError
}

// StartEdge starts the edge, with a certificate that the link will pin, and
// makes the link.
func (r *Relay) StartEdge(master seal.Master) error {
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
	r.EdgeAt, r.Carriers = ln.Addr(), &Cutter{Listener: ln}
	secure := &tls.Config{
		Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"}, DynamicRecordSizingDisabled: true,
	}
	r.serve(tls.NewListener(r.Carriers, secure), handler, drain)
	front := link.Front{Host: r.EdgeAt.String(), Path: wire.DoorPath, Pins: []link.Pin{link.PinOf(cert.Leaf)}}
	if r.Gateway != nil {
		front.Path, front.Gateway = "/"+apiStage, true
	}
	r.Link = &link.Link{Keys: master.Client(1), Fronts: []link.Front{front}}
	return r.Link.Validate()
}

// edge is what carriers go through.
func (r *Relay) edge(master seal.Master) (http.Handler, func(context.Context) error, error) {
	if r.Gateway != nil {
		return r.startGateway(master)
	}
	behind := r.OriginAt.String()
	if r.Worker != nil {
		var err error
		if behind, err = r.startWorker(); err != nil {
			return nil, nil, err
		}
	}
	r.metrics = prometheus.NewRegistry()
	proxy := passthrough.New(&url.URL{Scheme: "http", Host: behind}, passthrough.Options{Metrics: r.metrics})
	return proxy, proxy.Drain, nil
}

// serve serves h until Close.
func (r *Relay) serve(ln net.Listener, h http.Handler, drain func(context.Context) error) {
	r.run(serve.Service{
		Listener: ln, Handler: h, Admin: serve.Off, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
		DrainFor: stopTime, Drain: drain,
	}.Run)
}

// OpenNear opens the app's listeners, which are served from Connect on.
func (r *Relay) OpenNear(ctx context.Context, o nearend.Options, logs io.Writer) (err error) {
	if r.Near, err = nearend.Open(ctx, r.Link, o, logs); err == nil {
		r.stops = append(r.stops, r.Near.Close)
	}
	return err
}

// DialChat opens a connection for chat as the app does.
func (r *Relay) DialChat(ctx context.Context) (net.Conn, error) {
	var d net.Dialer // to an unspecified address it connects on this machine
	return d.DialContext(ctx, "tcp", r.Near.Addresses()[0])
}

// DialMedia opens a connection for media as the app does.
func (r *Relay) DialMedia(ctx context.Context) (net.Conn, error) {
	all := r.Near.Addresses()
	var d net.Dialer
	return d.DialContext(ctx, "tcp", all[len(all)-1])
}

// connectLimit bounds the way to our own edge and origin.
const connectLimit = 5 * time.Second

// Connect carries the app's connections until Close. It waits until the client
// has found its way, and returns the round trip to the origin and back.
func (r *Relay) Connect(ctx context.Context) (rtt time.Duration, err error) {
	r.run(r.Near.Serve)
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	if err := r.Near.Client.WaitReady(ctx); err != nil {
		return 0, fmt.Errorf("the client cannot reach the edge or the origin on this machine: %s", term.OneLine(err))
	}
	return doctor.MeasureRTT(ctx, r.Near.Client), nil
}

// Save writes what other programs need to use the relay to files of dir that the
// user alone may read: link, and of a stand-in chat-root and media-ca.
func (r *Relay) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	files := map[string][]byte{"link": []byte(r.Link.String() + "\n")}
	if r.standIn != nil {
		root := r.standIn.Root()
		files["chat-root"], files["media-ca"] = []byte(hex.EncodeToString(root[:])+"\n"), r.standIn.Authority()
	}
	for name, content := range files {
		if err := writePrivate(filepath.Join(dir, name), content); err != nil {
			return err
		}
	}
	return nil
}

// writePrivate replaces a file by one that the user alone may read, whatever
// the old one's permissions were.
func writePrivate(name string, content []byte) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(name, content, 0o600)
}

// Traffic is what the edge has passed on, live, sealed and with all that the
// relay adds; API Gateway counts messages, so there it is the app's bytes.
func (r *Relay) Traffic() nearend.Traffic {
	if r.Gateway != nil {
		return r.Near.Traffic()
	}
	return nearend.Traffic{Up: r.counter("culvert_edge_up_bytes_total"), Down: r.counter("culvert_edge_down_bytes_total")}
}

// Opened is how many carriers there were.
func (r *Relay) Opened() int { return r.Carriers.Accepted() }

func (r *Relay) counter(name string) uint64 {
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
