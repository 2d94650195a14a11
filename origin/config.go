package origin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// Config is what an Origin works with. All but Master and Dial may be zero.
type Config struct {
	Master       seal.Master                                           // the secret that links come from
	Older        []seal.Master                                         // those whose links are still good
	Gates        wire.GateKeys                                         // verify tokens, the newest first; nil: those of Master and Older
	Dial         func(context.Context, wire.Service) (net.Conn, error) // reaches WhatsApp, and nothing else
	Site         http.Handler                                          // what strangers see; nil: 404
	Log          *slog.Logger                                          // one line a tunnel that ends; nil: none
	Metrics      prometheus.Registerer                                 // nil: none
	MaxTunnels   int                                                   // of all users; 0: 100,000
	MaxCarriers  int                                                   // of all users; 0: 50,000
	UserCarriers int                                                   // of one user; 0: 1,000
	UserTunnels  int                                                   // of one user; 0: 12,000
	Revoked      func(user uint32) bool                                // whose links are void; nil: nobody's
	Windows      int64                                                 // what others can make the origin keep, in bytes: see memory.go; 0: 512 MiB
	Advertise    netip.AddrPort                                        // where functions and other origins reach this one; zero: none do
	Gateway      Gateway                                               // zero: no gateway door
}

// Gateway is the API Gateway whose connections come in by the gateway door.
type Gateway struct {
	URL         *url.URL                // https://{api}.execute-api.{region}.amazonaws.com/{stage}
	Region      string                  // that requests are signed for
	Credentials aws.CredentialsProvider // that may manage connections
	Client      *http.Client            // nil, or without a transport: one that is made for many posts to one host
}

func (c *Config) check() error {
	switch {
	case c.Dial == nil:
		return errors.New("origin: nothing to dial with")
	case c.Gateway.URL == nil:
		return nil
	case c.Gateway.Region == "" || c.Gateway.Credentials == nil:
		return errors.New("origin: no region or credentials to post to API Gateway with")
	case !c.Advertise.IsValid():
		return errors.New("origin: the gateway door needs an address where functions reach it")
	}
	return nil
}

func (c *Config) defaults() {
	if c.Gates == nil {
		c.Gates = wire.GateKeys{c.Master.GateKey()}
		for _, m := range c.Older {
			c.Gates = append(c.Gates, m.GateKey())
		}
	}
	if c.Site == nil {
		c.Site = http.NotFoundHandler()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Revoked == nil {
		c.Revoked = func(uint32) bool { return false }
	}
	c.MaxTunnels = or(c.MaxTunnels, 100_000)
	c.MaxCarriers = or(c.MaxCarriers, 50_000)
	c.UserTunnels = or(c.UserTunnels, 12_000)
	c.UserCarriers = or(c.UserCarriers, 1_000)
	if c.Windows == 0 {
		c.Windows = 512 << 20
	}
	c.Advertise = netip.AddrPortFrom(c.Advertise.Addr().Unmap(), c.Advertise.Port())
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}
