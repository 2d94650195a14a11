// Command edge is an edge without AWS: it passes WebSockets on to one origin
// and shows everyone else an ordinary website. edge --help lists its settings.
package main

import (
	"context"
	"log/slog"
	"os"
	"runtime/debug"

	"culvert/edge/passthrough"
	"culvert/internal/serve"
)

var program = serve.Program{
	Name: "edge",
	About: "passes Culvert's WebSockets on to an origin, opens nothing in them,\n" +
		"and shows an ordinary website to everyone else.",
}

// collectAt makes the collector run when the heap has grown by 40 %, as the origin's: sockets are few bytes each and
// live long, and garbage would be the largest part of what an idle one costs. An operator's GOGC wins.
const collectAt = 40

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	cfg := new(config)
	serve.Main(program, cfg, cfg.run)
}

func (c *config) run(ctx context.Context, log *slog.Logger, files *serve.Files) error {
	metrics := serve.NewRegistry()
	proxy := passthrough.New(&c.Origin.URL, passthrough.Options{
		Roots: c.roots, MaxSockets: serve.Passing(c.MaxSockets, log), Log: log, Metrics: metrics, Site: c.shown,
	})
	listener, err := c.TLS.Listen(c.Listen, false, nil, files)
	if err != nil {
		return err
	}
	go proxy.Learn(ctx, &c.Origin.URL)
	return serve.Service{
		Listener: listener, Handler: proxy, Admin: c.Admin, Metrics: metrics, Log: log,
		DrainFor: c.DrainFor, Drain: proxy.Drain, Strangers: serve.NewStrangers(c.Limits, metrics),
	}.Run(ctx)
}
