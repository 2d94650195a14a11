// Command origin is the persistent server at the far end of the relay: it lets
// carriers in, unwraps their tunnels and dials WhatsApp. origin --help lists
// its settings.
package main

import (
	"context"
	"log/slog"
	"os"
	"runtime/debug"

	"culvert/internal/serve"
	"culvert/internal/site"
	"culvert/internal/whatsapp"
	"culvert/origin"
)

var program = serve.Program{
	Name: "origin",
	About: "takes Culvert's WebSockets, unwraps the connections in them and dials\n" +
		"WhatsApp, and nothing else; shows an ordinary website to everyone without a link.",
}

// collectAt makes the collector run when the heap has grown by 40 %: carriers
// and tunnels are few bytes each and live long, and at Go's default of 100 the
// garbage and the heap not yet returned are the largest part of an idle
// connection's memory. An operator's GOGC wins.
const collectAt = 40

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	cfg := new(config)
	serve.Main(program, cfg, cfg.run)
}

func (c *config) run(ctx context.Context, log *slog.Logger) error {
	c.warn(log)
	revoked, err := c.Revoked.watch(log)
	if err != nil {
		return err
	}
	upstream := &whatsapp.Upstream{Chat: string(c.Chat), Media: string(c.Media), AllowPrivate: c.AllowPrivate}
	metrics := serve.NewRegistry()
	far, err := origin.New(origin.Config{
		Master: c.master, Dial: upstream.Dial, Site: site.Handler(), Log: log, Metrics: metrics,
		MaxTunnels: c.MaxTunnels, MaxCarriers: c.MaxCarriers, Revoked: revoked,
	})
	if err != nil {
		return err
	}
	defer far.Close()
	listener, err := c.TLS.Listen(c.Listen, far.Wrap, log)
	if err != nil {
		return err
	}
	return serve.Service{
		Listener: listener, Handler: far, Admin: c.Admin, Metrics: metrics, Log: log,
		DrainFor: c.DrainFor, Leave: far.Drain,
	}.Run(ctx)
}

// warn names loudly what must not be on by accident.
func (c *config) warn(log *slog.Logger) {
	if c.Chat != "" {
		log.Warn("CULVERT_UPSTREAM_CHAT is set: chat goes there and not to WhatsApp", "upstream", string(c.Chat))
	}
	if c.Media != "" {
		log.Warn("CULVERT_UPSTREAM_MEDIA is set: media goes there and not to WhatsApp", "upstream", string(c.Media))
	}
	if c.AllowPrivate {
		log.Warn("CULVERT_ALLOW_PRIVATE is on: addresses of private networks may be dialled")
	}
}
