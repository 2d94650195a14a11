// Command origin is the persistent server at the far end of the relay: it lets
// carriers in, unwraps their tunnels and dials WhatsApp. origin --help lists
// its settings.
package main

import (
	"context"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"

	"culvert/cmd/origin/internal/setup"
	"culvert/internal/link"
	"culvert/internal/serve"
	"culvert/internal/term"
	"culvert/internal/whatsapp"
	"culvert/origin"
)

var program = serve.Program{
	Name: "origin",
	About: "takes Culvert's WebSockets, unwraps the connections in them and dials\n" +
		"WhatsApp, and nothing else; shows an ordinary website to everyone without a link.",
	Commands: setup.Program.List(),
}

// collectAt makes the collector run when the heap has grown by 40 %: carriers
// and tunnels are few bytes each and live long, and at Go's default of 100 the
// garbage and the heap not yet returned are the largest part of an idle
// connection's memory. An operator's GOGC wins.
const collectAt = 40

func main() {
	if setup.Has(os.Args[1:]) {
		term.Main(setup.Program)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	cfg := new(config)
	serve.Main(program, cfg, cfg.run)
}

func (c *config) run(ctx context.Context, log *slog.Logger, files *serve.Files) error {
	c.warn(log)
	if !c.Site.IsSet() {
		log.Info("website follows from the gate's secret", "site", c.website().String(), "try", "CULVERT_SITE with this to keep it when the secret changes")
	}
	advertise, second, err := c.Advertise.listen(c.Listen)
	if err != nil {
		return err
	}
	if second != nil {
		defer second.Close()
	}
	if c.Fronts != "" {
		if c.lists, err = watchLists(files, string(c.Fronts), log, func() (*link.Book, error) { return c.Fronts.read(c.masters) }); err != nil {
			return err
		}
		defer c.lists.follow(ctx)()
	}
	metrics := serve.NewRegistry()
	far, err := c.origin(ctx, advertise, log, files, metrics)
	if err != nil {
		return err
	}
	defer far.Close()
	service := serve.Service{
		Handler: far, Admin: c.Admin, Metrics: metrics, Log: log,
		DrainFor: c.DrainFor, Leave: far.Drain, Strangers: serve.NewStrangers(c.Limits, metrics),
	}
	if second != nil {
		service.Lasting = far.Wrap(second)
	}
	// The port is shared with a process that is to take over, or that is taken over, where both can be reached otherwise.
	if service.Listener, err = c.TLS.Listen(c.Listen, second != nil, far.Wrap, files); err != nil {
		return err
	}
	return service.Run(ctx)
}

func (c *config) origin(ctx context.Context, advertise netip.AddrPort, log *slog.Logger, files *serve.Files, metrics prometheus.Registerer) (*origin.Origin, error) {
	revoked, err := c.Revoked.watch(files)
	if err != nil {
		return nil, err
	}
	gateway, err := c.gateway(ctx)
	if err != nil {
		return nil, err
	}
	carriers, tunnels := serve.Ending(c.MaxCarriers, c.MaxTunnels, log)
	upstream := &whatsapp.Upstream{Chat: string(c.Chat), Media: string(c.Media), AllowPrivate: c.AllowPrivate}
	cfg := origin.Config{
		Master: c.masters[0], Older: c.masters[1:], Gates: c.gates,
		Dial: upstream.Dial, Site: c.shown, Log: log, Metrics: metrics,
		MaxTunnels: tunnels, MaxCarriers: carriers, Revoked: revoked, Windows: windows(),
		Advertise: advertise, Gateway: gateway,
	}
	if c.lists != nil {
		cfg.Fronts = c.lists.newest
	}
	return origin.New(cfg)
}

// windows is what others may make the origin keep, beyond the least: a third of
// what GOMEMLIMIT allows the process, or the origin's own idea.
func windows() int64 {
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		return limit / 3
	}
	return 0
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
