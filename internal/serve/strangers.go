package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"culvert/internal/guise"
	"culvert/internal/share"
)

// Limits are the settings that bound what strangers take.
type Limits struct {
	Strangers int     `env:"CULVERT_MAX_STRANGERS" envDefault:"4096" help:"connections open at once that are no WebSocket yet, and requests over HTTP/2, about 30 kB of memory each with TLS. When they get scarce, the network (/24 or /48) and address with most loses its oldest" try:"4096"`
	Proxies   Proxies `env:"CULVERT_PROXIES" help:"addresses or networks, with commas between, of proxies before this server whose X-Forwarded-For is believed, so that strangers behind them are told apart; or none, if there are none. Either way one address may come 50 times a second. Addresses are never logged or passed on" try:"10.0.0.0/8,2001:db8::/32"`
}

// Check wants a number above 0.
func (l *Limits) Check() SettingError {
	return Positive("CULVERT_MAX_STRANGERS", l.Strangers, "4096")
}

// Proxies are networks whose word on others' addresses is believed. They are nil where nobody has said whether there are
// any: an address may be a CDN's then, by which everybody comes.
type Proxies []netip.Prefix

// UnmarshalText reads addresses and prefixes with commas between, or none.
func (p *Proxies) UnmarshalText(b []byte) error {
	if string(b) == "none" {
		*p = Proxies{}
		return nil
	}
	for word := range strings.SplitSeq(string(b), ",") {
		word = strings.TrimSpace(word)
		prefix, err := netip.ParsePrefix(word)
		if one, bad := netip.ParseAddr(word); bad == nil {
			prefix, err = netip.PrefixFrom(one, one.BitLen()), nil
		}
		if err != nil {
			return errors.New("holds something that is neither an IP address nor a network like 10.0.0.0/8")
		}
		*p = append(*p, prefix.Masked())
	}
	return nil
}

func (p Proxies) has(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// visitor is the address that the proxies say a request comes from: the last of the list
// that is none of theirs. The zero value if they do not say.
func (p Proxies) visitor(h http.Header) (from netip.Addr) {
	said := strings.Split(strings.Join(h.Values("X-Forwarded-For"), ","), ",")
	for _, word := range slices.Backward(said) {
		a, err := netip.ParseAddr(strings.TrimSpace(word))
		if err != nil {
			return from
		}
		if from = a.Unmap(); !p.has(from) {
			return from
		}
	}
	return from
}

// Strangers bounds the connections that have not become WebSockets: there is room for
// another always, in the place of one that has been there for longest. A connection counts
// for its address; from a proxy that is believed each request does, for the visitor's. It
// closes what it may not keep instead of wrapping the listener, whose connections must
// stay what they are: half-closing and waiting without a buffer depend on it. Its methods
// may be called by many goroutines.
type Strangers struct {
	pool    *share.Strangers
	proxies Proxies
	rates   *share.Rates[netip.Prefix] // of an address; nil: an address may be everybody's
	refused atomic.Uint64
	files   *files

	mu sync.Mutex // guards the following
	at map[net.Conn]*place
}

type place = share.Place[netip.Prefix, netip.Prefix]

// One address may come strangerRate times a second for long, and strangerBurst times at once: a household's client
// begins ten connections a second at most, and many households may share an address.
const (
	strangerRate  = 50
	strangerBurst = 1000
)

// NewStrangers makes the bound of a server, with metrics unless r is nil.
func NewStrangers(l Limits, r prometheus.Registerer) *Strangers {
	s := &Strangers{pool: share.NewStrangers(l.Strangers), proxies: l.Proxies, at: map[net.Conn]*place{}}
	s.files = newFilesLeft(r)
	if l.Proxies != nil {
		s.rates = share.NewRates[netip.Prefix](strangerRate, strangerBurst)
	}
	f := promauto.With(r)
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "culvert_connections_strange", Help: "Connections now that are no WebSocket yet."},
		func() float64 { return float64(s.pool.Len()) })
	f.NewCounterFunc(prometheus.CounterOpts{Name: "culvert_strangers_displaced_total", Help: "Connections that were no WebSocket yet and ended, as others needed their place."},
		func() float64 { return float64(s.pool.Displaced()) })
	f.NewCounterFunc(prometheus.CounterOpts{Name: "culvert_strangers_refused_total", Help: "Connections, or requests by a proxy, of addresses that came too often."},
		func() float64 { return float64(s.refused.Load()) })
	return s
}

// mayCome reports whether an address may come once more now, and counts it.
func (s *Strangers) mayCome(from netip.Addr) bool {
	if s.rates == nil || !from.IsValid() {
		return true
	}
	_, within := share.Prefix(from)
	may := s.rates.Allow(within, time.Now())
	if !may {
		s.refused.Add(1)
	}
	return may
}

// peer is the address at the other end of c; the zero value in tests without one.
func peer(c net.Conn) netip.Addr {
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// state is an http.Server's ConnState.
func (s *Strangers) state(c net.Conn, now http.ConnState) {
	switch {
	case now == http.StateClosed || now == http.StateHijacked:
		s.leave(c)
	case now == http.StateNew:
		if from := peer(c); !s.proxies.has(from) {
			if !s.mayCome(from) {
				cut(c)
				return
			}
			s.enter(c, from)
		}
		s.spare(c)
	case now == http.StateIdle && s.proxies.has(peer(c)):
		s.leave(c)
	default:
		s.mu.Lock()
		defer s.mu.Unlock()
		if p := s.at[c]; p != nil {
			p.Stir()
		}
	}
}

func (s *Strangers) enter(c net.Conn, from netip.Addr) {
	network, within := share.Prefix(from)
	p := s.pool.Enter(network, within, func() { cut(c) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at[c] = p
}

func (s *Strangers) leave(c net.Conn) {
	s.mu.Lock()
	p := s.at[c]
	delete(s.at, c)
	s.mu.Unlock()
	if p != nil {
		p.Leave()
	}
}

// cut closes a connection beneath TLS, whose own end waits for room to say goodbye.
func cut(c net.Conn) {
	if secure, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = secure.NetConn()
	}
	c.Close()
}

// connKey is where a request's context has its connection.
type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// count has requests from proxies that are believed counted for the visitor, and over HTTP/2 all others for who
// has connected: one connection may have many requests that wait.
func (s *Strangers) count(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(connKey{}).(net.Conn)
		leave := func() {}
		switch {
		case c == nil:
		case s.proxies.has(peer(c)):
			from := s.proxies.visitor(r.Header)
			if !s.mayCome(from) {
				w.Header().Set("Connection", "close")
				guise.Refuse(w, r, http.StatusTooManyRequests)
				return
			}
			r, leave = s.enterBy(c, r, from)
		case r.ProtoMajor > 1:
			network, within := share.Prefix(peer(c))
			leave = s.pool.Enter(network, within, func() { cut(c) }).Leave
		}
		defer leave()
		h.ServeHTTP(w, r)
	})
}

// enterBy has a request from a proxy count for its visitor. Over HTTP/2 others share the connection, so that the
// request alone ends where its place is needed.
func (s *Strangers) enterBy(c net.Conn, r *http.Request, from netip.Addr) (_ *http.Request, leave func()) {
	if r.ProtoMajor == 1 {
		s.enter(c, from)
		return r, func() { s.leave(c) } // what was hijacked has left before
	}
	ctx, cancel := context.WithCancel(r.Context())
	network, within := share.Prefix(from)
	p := s.pool.Enter(network, within, cancel)
	return r.WithContext(ctx), func() { p.Leave(); cancel() }
}

// tellEvery is how often at most the log says that a bound bites.
const tellEvery = time.Minute

// tell logs until ctx ends that places were lost.
func (s *Strangers) tell(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for last, refused := uint64(0), uint64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-s.files.news:
			s.files.tell(log)
			continue
		case <-tick.C:
		}
		if now := s.pool.Displaced(); now != last {
			log.Warn("strangers' connections are scarce: the oldest were closed", "closed", now-last, "open", s.pool.Len(),
				"try", "nothing, if users are well; else CULVERT_MAX_STRANGERS, or CULVERT_PROXIES behind a CDN")
			last = now
		}
		if now := s.refused.Load(); now != refused {
			log.Warn("an address comes too often: what it began was closed", "closed", now-refused,
				"try", "nothing, if users are well; CULVERT_PROXIES, if it is a proxy's")
			refused = now
		}
	}
}
