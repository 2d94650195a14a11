package origin

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"culvert/internal/carrier"
	"culvert/internal/tunnel"
	"culvert/internal/wire"
)

// metrics answer what an operator asks. None has a label that names a user or
// a host.
type metrics struct {
	opens     *prometheus.CounterVec        // how much is it used, for what?
	ends      *prometheus.CounterVec        // why do tunnels end?
	refusals  *prometheus.CounterVec        // are valid users turned away?
	strangers prometheus.Counter            // is somebody probing?
	tokens    map[string]prometheus.Counter // why is a token of no use?
	carriers  prometheus.Counter            // carriers used by tunnels that ended: are carriers being cut?
	lost      *prometheus.CounterVec        // why do carriers end: is somebody cutting or freezing them?
	passes    *prometheus.CounterVec        // do carriers and messages come to the wrong origin?
	handed    *prometheus.CounterVec        // is the gateway door used, and does it turn messages away?
	posts     *prometheus.CounterVec        // what does API Gateway say?
	repeats   *prometheus.CounterVec        // does it throttle, or fail?
	posting   prometheus.Gauge              // do posts wait?
	make      promauto.Factory              // registers what it makes, if there is where
}

func newMetrics(r prometheus.Registerer, t *tunnel.Table, sessions func() int) *metrics {
	f := promauto.With(r)
	m := &metrics{
		opens:     counters(f, "culvert_tunnels_opened_total", "Tunnels opened.", "service"),
		ends:      counters(f, "culvert_tunnels_ended_total", "Tunnels ended.", "service", "reason"),
		refusals:  counters(f, "culvert_refused_total", "Tunnels and carriers of valid users refused.", "reason"),
		strangers: f.NewCounter(prometheus.CounterOpts{Name: "culvert_strangers_total", Help: "Upgrades without a valid token."}),
		tokens:    tokenCounters(f),
		carriers:  f.NewCounter(prometheus.CounterOpts{Name: "culvert_tunnel_carriers_total", Help: "Carriers used by tunnels that have ended."}),
		lost:      counters(f, "culvert_carriers_ended_total", "Carriers ended.", "cause"),
		passes:    counters(f, "culvert_passed_total", "Carriers and messages passed on to the origin that owns their tunnels.", "what"),
		handed:    counters(f, "culvert_handed_total", "Messages handed on by functions.", "result"),
		posts:     counters(f, "culvert_posts_total", "Messages posted to API Gateway.", "result"),
		repeats:   counters(f, "culvert_post_repeats_total", "Posts made again.", "reason"),
		posting:   f.NewGauge(prometheus.GaugeOpts{Name: "culvert_posts", Help: "Posts to API Gateway now, waiting ones among them."}),
		make:      f,
	}
	for _, why := range carrier.Causes() {
		m.lost.WithLabelValues(label(why.String())) // from 0 on: a rule asks how fast each grows
	}
	t.Carriers.Ended = m.carrierEnded
	m.gauge("culvert_tunnels", "Tunnels now.", t.Tunnels)
	m.gauge("culvert_carriers", "Carriers now.", t.Carriers.Len)
	m.gauge("culvert_carriers_unproven", "Carriers now that have yet to prove whose they are.", t.Carriers.AllUnproven)
	m.gauge("culvert_sessions", "Sessions now.", sessions)
	m.gauge("culvert_users", "Users with a carrier now.", t.Carriers.Users)
	for _, kind := range []wire.ServiceKind{wire.Chat, wire.Media, wire.Web} {
		m.moved(kind, "down", func() uint64 { sent, _ := t.MovedOf(kind); return sent })
		m.moved(kind, "up", func() uint64 { _, received := t.MovedOf(kind); return received })
	}
	return m
}

func counters(f promauto.Factory, name, help string, labels ...string) *prometheus.CounterVec {
	return f.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

// gauge shows what of returns when somebody looks.
func (m *metrics) gauge(name, help string, of func() int) {
	m.make.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(of()) })
}

// moved counts the bytes of streams while their tunnels run: how much does an origin
// carry, for what, and which way?
func (m *metrics) moved(kind wire.ServiceKind, direction string, of func() uint64) {
	m.make.NewCounterFunc(prometheus.CounterOpts{
		Name: "culvert_bytes_total", Help: "Bytes of streams.",
		ConstLabels: prometheus.Labels{"service": label(kind.String()), "direction": direction},
	}, func() float64 { return float64(of()) })
}

// label is s as a label's value: in lower case and without spaces, so that queries
// and rules need no quotes.
func label(s string) string { return strings.ReplaceAll(strings.ToLower(s), " ", "_") }

func (m *metrics) refused(why wire.Reason) { m.refusals.WithLabelValues(label(why.String())).Inc() }

// These are why a token is refused.
const (
	malformed   = "malformed"
	notAdmitted = "not admitted"
	isRevoked   = "revoked"
	notProved   = "not proved"
	takenBefore = "taken before"
)

// tokenCounters are made once, so that counting takes as little time for one reason as for another.
func tokenCounters(f promauto.Factory) map[string]prometheus.Counter {
	all := counters(f, "culvert_tokens_refused_total", "Tokens that let nobody in.", "reason")
	of := map[string]prometheus.Counter{}
	for _, why := range []string{malformed, notAdmitted, isRevoked, notProved, takenBefore} {
		of[why] = all.WithLabelValues(label(why))
	}
	return of
}

// refusedToken counts a token by why it was refused; not at all if why is empty.
func (m *metrics) refusedToken(why string) {
	if c := m.tokens[why]; c != nil {
		c.Inc()
	}
}

func (m *metrics) carrierEnded(why carrier.Cause) {
	m.lost.WithLabelValues(label(why.String())).Inc()
}

// gotHanded counts a message by what it was answered.
func (m *metrics) gotHanded(status int) {
	result := map[int]string{http.StatusNoContent: "taken", http.StatusGone: "unknown", http.StatusServiceUnavailable: "full"}[status]
	m.handed.WithLabelValues(result).Inc()
}

func (m *metrics) ended(e tunnel.End) {
	service, reason := label(e.Service.Kind.String()), "closed"
	if e.Reason != 0 {
		reason = label(e.Reason.String())
	}
	m.ends.WithLabelValues(service, reason).Inc()
	m.carriers.Add(float64(e.Carriers))
}
