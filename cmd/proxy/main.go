// Command proxy serves phones without a client, in place of WhatsApp's own proxy. proxy --help lists its settings.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"culvert/client/listener"
	"culvert/internal/secret"
	"culvert/internal/serve"
	"culvert/internal/whatsapp"
	"culvert/proxy"
)

var program = serve.Program{
	Name:   "proxy",
	Health: "CULVERT_STATS_LISTEN",
	About: "serves WhatsApp's app without a client, as Meta's own proxy does, and dials\n" +
		"WhatsApp and nothing else. Whoever watches sees what it is: where that is blocked, use a client and an origin.",
}

// config is what the environment says; its tags are the manual.
type config struct {
	Listen       addresses          `env:"CULVERT_PROXY_LISTEN" envDefault:":80,:443,:5222,:587,:7777" help:"host:port of each listener, with commas between; each takes chat, raw or in TLS, and media" try:":443,:5222,:7777"`
	Behind       addresses          `env:"CULVERT_PROXY_BEHIND" help:"host:port of listeners to which a load balancer sends a PROXY header, version 1 or 2; they serve nobody who sends none" try:":8080,:8443,:8222"`
	Tell         int                `env:"CULVERT_PROXY_TELL" envDefault:"0" help:"version of the PROXY header, 1 or 2, that tells WhatsApp each chat's user by address, as Meta's proxy does; 0 tells nobody" try:"0"`
	Connections  int                `env:"CULVERT_PROXY_CONNECTIONS" envDefault:"27500" help:"connections at once; when they get scarce, the network (/24 or /48) and address with most loses one" try:"27500"`
	Stats        serve.AdminAddress `env:"CULVERT_STATS_LISTEN" envDefault:"off" empty:"off" help:"host:port of the page of statistics, and of /metrics, or off" try:":8199"`
	PasswordFile string             `env:"CULVERT_STATS_PASSWORD_FILE" help:"file with the password for that page, which nobody else can read" try:"/etc/culvert/stats"`
	DrainFor     time.Duration      `env:"CULVERT_DRAIN" envDefault:"8s" help:"how long connections may go on after SIGTERM; docker stop waits 10 s" try:"8s"`
	Chat         serve.Address      `env:"CULVERT_UPSTREAM_CHAT" help:"host:port that stands in for WhatsApp's chat servers, for tests and private networks" try:"127.0.0.1:5222"`
	Media        serve.Address      `env:"CULVERT_UPSTREAM_MEDIA" help:"host:port that stands in for WhatsApp's media servers, for tests and private networks" try:"127.0.0.1:7777"`
	AllowPrivate bool               `env:"CULVERT_ALLOW_PRIVATE" help:"true lets the two above be addresses that are not public" try:"true"`

	password string // from PasswordFile
}

// addresses are host:port each, with commas between.
type addresses []serve.Address

// UnmarshalText refuses what is no list of host:port.
func (a *addresses) UnmarshalText(b []byte) error {
	for word := range strings.SplitSeq(string(b), ",") {
		var one serve.Address
		if err := one.UnmarshalText([]byte(strings.TrimSpace(word))); err != nil {
			return fmt.Errorf("holds something that %w", err)
		}
		*a = append(*a, one)
	}
	return nil
}

// Check finds what no single setting shows, and reads the password.
func (c *config) Check() []serve.SettingError {
	const try = "CULVERT_STATS_PASSWORD_FILE=/etc/culvert/stats, after '(umask 077; openssl rand -hex 16 > /etc/culvert/stats)'"
	var wrong serve.SettingError
	if c.Stats != serve.Off {
		text, err := c.readPassword()
		c.password = strings.TrimSpace(text)
		if err == nil && len(c.password) < 8 {
			err = errors.New("holds a password of fewer than 8 characters")
		}
		wrong = serve.Wrong("CULVERT_STATS_PASSWORD_FILE", err, try)
	}
	var tell serve.SettingError
	if c.Tell < 0 || c.Tell > 2 {
		tell = serve.Wrong("CULVERT_PROXY_TELL", errors.New("is neither 0, 1 nor 2"), "CULVERT_PROXY_TELL=0")
	}
	return []serve.SettingError{wrong, tell, serve.Apart(c.listens()...), serve.Positive("CULVERT_PROXY_CONNECTIONS", c.Connections, "27500"), serve.Positive("CULVERT_DRAIN", c.DrainFor, "8s")}
}

func (c *config) listens() (all []serve.Listens) {
	for _, at := range c.Listen {
		all = append(all, serve.Listens{Name: "CULVERT_PROXY_LISTEN", At: at})
	}
	for _, at := range c.Behind {
		all = append(all, serve.Listens{Name: "CULVERT_PROXY_BEHIND", At: at})
	}
	return append(all, serve.Listens{Name: "CULVERT_STATS_LISTEN", At: serve.Address(c.Stats)})
}

func (c *config) readPassword() (string, error) {
	if c.PasswordFile == "" {
		return "", errors.New("is not set: nobody sees the statistics without a password")
	}
	return secret.Read(c.PasswordFile, strings.NewReader(""))
}

func main() {
	cfg := new(config)
	serve.Main(program, cfg, cfg.run)
}

// run serves until ctx ends, and lets what is open go on for DrainFor then.
func (c *config) run(ctx context.Context, log *slog.Logger, _ *serve.Files) error {
	upstream := &whatsapp.Upstream{Chat: string(c.Chat), Media: string(c.Media), AllowPrivate: c.AllowPrivate}
	s := proxy.New(upstream.Dial, c.Connections, log)
	s.Tell = c.Tell
	lasting, end := context.WithCancelCause(context.Background())
	defer end(nil)
	opened, err := c.open(ctx)
	if err != nil {
		return err
	}
	stats := &http.Server{Handler: s.Stats(c.password), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	defer stats.Close()
	var serving sync.WaitGroup
	for _, o := range opened {
		serving.Go(func() {
			if o.stats {
				stats.Serve(o)
			} else if err := s.Serve(lasting, o, o.behind); err != nil && ctx.Err() == nil {
				end(err)
			}
		})
	}
	log.Info("ready", "listeners", len(opened))
	select {
	case <-lasting.Done():
	case <-ctx.Done():
		log.Info("draining", "for", c.DrainFor)
		s.Drain(c.DrainFor)
	}
	failed := context.Cause(lasting)
	end(nil)
	stats.Close()
	serving.Wait()
	return failed
}

// opened is a listener, and what it is for.
type opened struct {
	net.Listener
	behind, stats bool
}

// open opens all listeners, or none.
func (c *config) open(ctx context.Context) (all []opened, err error) {
	add := func(at serve.Address, setting string, behind, stats bool) {
		if err != nil {
			return
		}
		var ln net.Listener
		if ln, err = listener.Listen(ctx, string(at)); err != nil {
			err = fmt.Errorf("%s: %w", setting, err)
			return
		}
		all = append(all, opened{ln, behind, stats})
	}
	for _, at := range c.Listen {
		add(at, "CULVERT_PROXY_LISTEN", false, false)
	}
	for _, at := range c.Behind {
		add(at, "CULVERT_PROXY_BEHIND", true, false)
	}
	if c.Stats != serve.Off {
		add(serve.Address(c.Stats), "CULVERT_STATS_LISTEN", false, true)
	}
	if err != nil {
		for _, o := range all {
			o.Close()
		}
	}
	return all, err
}
