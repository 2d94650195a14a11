package origin

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"culvert/internal/share"
)

// pressure is where the origin's bounds bite: what of it is scarce, and whose share. It
// never says who.
type pressure struct {
	sources []source
	log     *slog.Logger
	said    time.Time // when a line was last logged, or would have been
	before  map[string]uint64
}

// source counts how often one bound has bitten.
type source struct {
	of, whose, did string
	count          func() uint64
}

// The kinds of shares, as metrics and the log name them.
const (
	ofUsers     = "user"
	ofSessions  = "session"
	ofStrangers = "stranger"
)

// files are open ones, of which each tunnel takes one, as its carrier does.
const files = "files"

// newPressure registers its counters with m.
func newPressure(o *Origin, m *metrics, log *slog.Logger) *pressure {
	p := &pressure{log: log, said: time.Now(), before: map[string]uint64{}}
	shares := &o.table.Shares
	p.bound("tunnels", shares.Tunnels)
	p.bound("carriers", shares.Carriers)
	p.bound("memory", shares.Memory)
	p.strangers("carriers", o.admission.unproven.Displaced)
	p.strangers("tunnels", o.acceptor.early.room.Displaced)
	p.sources = append(p.sources, source{files, ofUsers, "refused", o.acceptor.noFile.Load})
	if o.gateway != nil {
		p.bound("texts", o.gateway.poster.waiting)
		p.strangers("posts", o.gateway.coming.Displaced)
	}
	for _, s := range p.sources {
		m.make.NewCounterFunc(prometheus.CounterOpts{
			Name: "culvert_shares_total", Help: "How often a share was used up.",
			ConstLabels: prometheus.Labels{"of": s.of, "whose": s.whose, "did": s.did},
		}, func() float64 { return float64(s.count()) })
	}
	return p
}

func (p *pressure) bound(of string, b *share.Bound[uint32]) {
	p.sources = append(p.sources, source{of, ofUsers, "refused", b.Refused},
		source{of, ofUsers, "ended", b.Ended}, source{of, ofSessions, "ended", b.EndedWithin})
}

func (p *pressure) strangers(of string, displaced func() uint64) {
	p.sources = append(p.sources, source{of, ofStrangers, "ended", displaced})
}

// tell logs what has bitten since the last line, one a minute at most.
func (p *pressure) tell(now time.Time) {
	if now.Sub(p.said) < warnEvery {
		return
	}
	p.said = now
	since := map[string]uint64{}
	var all, noFile uint64
	for _, s := range p.sources {
		key := s.of + s.whose + s.did
		n := s.count()
		since[s.whose] += n - p.before[key]
		all += n - p.before[key]
		if s.of == files {
			noFile += n - p.before[key]
		}
		p.before[key] = n
	}
	try := "see culvert_shares_total for what is scarce; a larger machine, or an origin more, has more of all"
	if noFile > 0 {
		try = "LimitNOFILE=1048576 in the systemd unit, or 'ulimit -n' before the start: open files are scarce, and tunnels are refused"
	}
	if all > 0 {
		p.log.Warn("shares are used up", ofUsers, since[ofUsers], ofSessions, since[ofSessions], ofStrangers, since[ofStrangers],
			"try", try)
	}
}
