package origin

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"

	"culvert/internal/netpoll"
	"culvert/internal/seal"
	"culvert/internal/wire"
)

// Config is what an Origin works with. All but Master and Dial may be zero. Dial
// returns soon after its context ends: Close waits for it.
type Config struct {
	Master      seal.Master                                           // the secret that links come from
	Older       []seal.Master                                         // the secrets whose links are still good
	Gates       wire.GateKeys                                         // verify tokens, the newest first; nil: those of Master and Older
	Dial        func(context.Context, wire.Service) (net.Conn, error) // reaches WhatsApp, and nothing else
	Site        http.Handler                                          // what strangers see; nil: 404
	Log         *slog.Logger                                          // one line a tunnel that ends; nil: none
	Metrics     prometheus.Registerer                                 // nil: none
	MaxTunnels  int                                                   // of all users; 0: 100,000
	MaxCarriers int                                                   // of all users; 0: 50,000
	Revoked     func(user uint32) bool                                // whose links are void; nil: nobody's
	Windows     int64                                                 // what others can make the origin keep, in bytes, as told below; 0: 512 MiB
	Advertise   netip.AddrPort                                        // where functions and other origins reach this one; zero: none do
	Gateway     Gateway                                               // zero: no gateway door

	// Fronts is the newest list of fronts, with its version, for a user whose link has that key of the origin;
	// version 0: there is none. nil: there are none at all. The list is not changed.
	Fronts func(key seal.PublicKey, user uint32) (list []byte, version uint32)

	// Scarce reports whether no more open files are left than are kept for what is going on; new tunnels are
	// refused then, and a new carrier ends one that has proved nothing. nil: netpoll.Scarce.
	Scarce func() bool

	// Reach dials other origins; nil: a net.Dialer does.
	Reach func(ctx context.Context, network, address string) (net.Conn, error)
}

// Gateway is the API Gateway whose connections come in by the gateway door.
type Gateway struct {
	URL         *url.URL                // https://{api}.execute-api.{region}.amazonaws.com/{stage}
	Region      string                  // that requests are signed for
	Credentials aws.CredentialsProvider // that may manage connections
	Client      *http.Client            // nil, or without a transport: one that is made for many posts to one host
}

// check says what is missing that has no default.
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
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	if c.Revoked == nil {
		c.Revoked = func(uint32) bool { return false }
	}
	if c.Scarce == nil {
		c.Scarce = netpoll.Scarce
	}
	if c.Reach == nil {
		c.Reach = new(net.Dialer).DialContext
	}
	c.MaxTunnels = cmp.Or(c.MaxTunnels, 100_000)
	c.MaxCarriers = cmp.Or(c.MaxCarriers, 50_000)
	c.Windows = cmp.Or(c.Windows, 512<<20)
	c.Advertise = netip.AddrPortFrom(c.Advertise.Addr().Unmap(), c.Advertise.Port())
}

// What others can make an origin keep follows from two figures: how many tunnels
// and carriers there may be, and Config.Windows. On a machine of the cloud these
// are bounded by a share of two fifths of the memory, which GOMEMLIMIT names; the
// machines below have 512 MiB and 2 GiB, less what the kernel takes for itself.
// Windows is a third of the share: 68 and 273 MiB.
//
//	what                            bound         of      512 MiB   2 GiB
//	tunnels, each with a carrier    share/24 KiB  all        8738   34952
//	  of 10 KiB when idle                         all      85 MiB 341 MiB
//	carriers that prove nothing     as many       all      43 MiB 171 MiB
//	  of 5 KiB
//	bytes in tunnels                Windows/2     all      34 MiB 136 MiB
//	  what a window may reach       a sixteenth   tunnel  4.3 MiB  17 MiB
//	  in any case, for chat         4 KiB         tunnel
//	texts waiting for API Gateway   Windows/4     all      17 MiB  68 MiB
//	bodies of functions             Windows/4     all      17 MiB  68 MiB
//	dials under way                 32, 8 KiB     user    256 KiB 256 KiB
//	keys shared with users          65536         all      12 MiB  12 MiB
//	tokens taken                    4096, 16 B    user     64 KiB  64 KiB
//	sessions                        64, 1 KiB     user     64 KiB  64 KiB
//
// What is of all is divided among users and their sessions as package share says. Windows
// does not bound the buffers, 64 KiB each, of carriers and splices that are in the middle of
// a write which nobody takes.
//
// 3,000 tunnels that sent 420 kB each with the first byte missing made an origin with
// the settings of the smaller machine grow to 87 MB; before there was a bound, they took 1.3 GB.

// Bytes in tunnels may take one part in keptPart of Windows, texts one in waitingPart
// and bodies one in readingPart: together all of it. Even the smallest machine has
// room for the least.
const (
	keptPart     = 2
	waitingPart  = 4
	readingPart  = 4
	leastKept    = 32 << 20 // bytes in tunnels
	leastReading = 16       // bodies at once
)

// address names the origin to clients: what it advertises, or nothing.
func (c *Config) address() string {
	if !c.Advertise.IsValid() {
		return ""
	}
	return c.Advertise.String()
}

// kept is how many bytes may be in tunnels.
func (c *Config) kept() int64 { return max(leastKept, c.Windows/keptPart) }

// readings is how many bodies may be in memory at once, half of them of whoever has not been
// heard out. To take one needs as much again, but no time.
func (c *Config) readings() int {
	return max(leastReading, int(c.Windows/readingPart/wire.MaxHanded))
}
