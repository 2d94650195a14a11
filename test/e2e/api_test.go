package e2e

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"culvert/client"
	"culvert/edge"
	"culvert/internal/link"
	"culvert/internal/serve"
	"culvert/internal/site"
	"culvert/internal/wire"
	"culvert/origin"
	"culvert/test/emulator"
)

// api is the gateway door: API Gateway as the emulator has it, the functions,
// and an origin that posts back.
type api struct {
	far            // over plain HTTP, as inside a VPC
	meter          *emulator.Meter
	clients, posts process    // where clients connect, and where the origin posts
	inside         *forwarder // by which functions reach an origin if no ticket names one
}

// apiOptions are what a test changes.
type apiOptions struct {
	gateway  emulator.Options
	function emulator.Settings
	routes   functions // nil: the functions run in the test
	origin   func(*origin.Config)
}

// functions are those of an API whose origin is at an address.
type functions func(origin string, s emulator.Settings) (r emulator.Routes, end func())

var localKey = aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}

func (w *world) httpClient() *http.Client {
	t := &http.Transport{DialContext: w.net.dial, MaxIdleConnsPerHost: 64, IdleConnTimeout: 50 * time.Second, DisableCompression: true}
	w.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

func (w *world) api(opt apiOptions) *api {
	w.Helper()
	a := &api{meter: new(emulator.Meter)}
	postsAt := w.net.listen(w)
	a.posts.addr = postsAt.Addr().String()
	a.far = a.origin(w, opt)
	a.inside = w.forward(a.addr)

	opt.function.Meter, opt.function.MemoryMB = a.meter, 256
	opt.function.Timeout = 15 * time.Second
	if opt.routes == nil {
		opt.routes = func(_ string, s emulator.Settings) (emulator.Routes, func()) { return w.gate(a.inside.addr(), s) }
	}
	routes, end := opt.routes(a.addr, opt.function)
	opt.gateway.API, opt.gateway.Meter, opt.gateway.Credentials = "local", a.meter, localKey
	g := emulator.New(routes, opt.gateway)
	drain := func(context.Context) error { g.Close(); return nil }
	a.posts = w.serve(postsAt, serve.Service{Handler: g})
	a.clients = w.serve(tls.NewListener(w.net.listen(w), serverTLS(certificate())), serve.Service{Handler: g, Drain: drain})
	w.Cleanup(func() { g.Close(); end() })
	return a
}

// gate is the functions whose configured origin is at addr.
func (w *world) gate(addr string, s emulator.Settings) (emulator.Routes, func()) {
	w.Helper()
	gate, err := edge.New(edge.Config{
		Keys: wire.GateKeys{w.master.GateKey()}, Origin: &url.URL{Scheme: "http", Host: addr},
		API: "local", Stage: "v1", Client: w.httpClient(),
	})
	must(w, err)
	return emulator.GateRoutes(gate, s)
}

// origin is one that posts to a, and takes the place of the one before when
// inside leads to it.
func (a *api) origin(w *world, opt apiOptions) far {
	w.Helper()
	at := w.net.listen(w)
	cfg := origin.Config{
		Master: w.master, Dial: w.dialUpstream, Site: site.Handler(), Advertise: netip.MustParseAddrPort(at.Addr().String()), Reach: w.net.dial,
		Gateway: origin.Gateway{
			URL: &url.URL{Scheme: "http", Host: a.posts.addr, Path: "/v1"}, Region: "us-east-1", Client: w.httpClient(),
			Credentials: credentials.NewStaticCredentialsProvider(localKey.AccessKeyID, localKey.SecretAccessKey, ""),
		},
	}
	if opt.origin != nil {
		opt.origin(&cfg)
	}
	o, err := origin.New(cfg)
	must(w, err)
	f := far{o, w.serve(o.Wrap(at), serve.Service{Handler: o})}
	w.Cleanup(f.crash)
	return f
}

// front leads to the gateway door.
func (a *api) front(w *world) link.Front { return w.textFront(a.clients.addr) }

func (w *world) textFront(addr string) link.Front {
	f := w.front(addr)
	f.Path, f.Gateway = "/v1", true
	return f
}

// clientBy is a client with these fronts.
func (w *world) clientBy(user uint32, fronts ...link.Front) *near {
	w.Helper()
	return w.clientOf(client.Config{Link: &link.Link{Keys: w.master.Client(user), Fronts: fronts}})
}
