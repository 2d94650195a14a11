package origin

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"culvert/internal/tunnel"
)

// metrics answer what an operator asks. None has a label that names a user or
// a host.
type metrics struct {
	opens     *prometheus.CounterVec // how much is it used, for what?
	ends      *prometheus.CounterVec // why do tunnels end?
	bytes     *prometheus.CounterVec // how much does it carry, which way?
	refusals  *prometheus.CounterVec // are valid users turned away?
	strangers prometheus.Counter     // is somebody probing?
	carriers  prometheus.Counter     // carriers used by tunnels that ended: are carriers being cut?
	passes    *prometheus.CounterVec // do carriers and messages come to the wrong origin?
	handed    *prometheus.CounterVec // is the gateway door used, and does it turn messages away?
	posts     *prometheus.CounterVec // what does API Gateway say?
	repeats   *prometheus.CounterVec // does it throttle, or fail?
	posting   prometheus.Gauge       // do posts wait?
	to        prometheus.Registerer  // nil: none
}

func newMetrics(r prometheus.Registerer, t *tunnel.Table) *metrics {
	m := &metrics{
		opens:     counters("culvert_tunnels_opened_total", "Tunnels opened.", "service"),
		ends:      counters("culvert_tunnels_ended_total", "Tunnels ended.", "service", "reason"),
		bytes:     counters("culvert_bytes_total", "Bytes of streams, of tunnels that have ended.", "service", "direction"),
		refusals:  counters("culvert_refused_total", "Tunnels refused.", "reason"),
		strangers: prometheus.NewCounter(prometheus.CounterOpts{Name: "culvert_strangers_total", Help: "Upgrades without a valid token."}),
		carriers:  prometheus.NewCounter(prometheus.CounterOpts{Name: "culvert_tunnel_carriers_total", Help: "Carriers used by tunnels that have ended."}),
		passes:    counters("culvert_passed_total", "Carriers and messages passed on to the origin that owns their tunnels.", "what"),
		handed:    counters("culvert_handed_total", "Messages handed on by functions.", "result"),
		posts:     counters("culvert_posts_total", "Messages posted to API Gateway.", "result"),
		repeats:   counters("culvert_post_repeats_total", "Posts made again.", "reason"),
		posting:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "culvert_posts", Help: "Posts to API Gateway now, waiting ones among them."}),
	}
	m.to = r
	m.add(m.opens, m.ends, m.bytes, m.refusals, m.strangers, m.carriers, m.passes, m.handed, m.posts, m.repeats, m.posting,
		gauge("culvert_tunnels", "Tunnels now.", t.Tunnels), gauge("culvert_carriers", "Carriers now.", t.Carriers),
		gauge("culvert_users", "Users with a carrier now.", t.Users))
	return m
}

// add registers what may not be there at every origin, too.
func (m *metrics) add(all ...prometheus.Collector) {
	if m.to != nil {
		m.to.MustRegister(all...)
	}
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string, of func() int) prometheus.GaugeFunc {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(of()) })
}

// label is s as a label's value: in lower case and without spaces, so that queries
// and rules need no quotes.
func label(s string) string { return strings.ReplaceAll(strings.ToLower(s), " ", "_") }

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
	m.bytes.WithLabelValues(service, "down").Add(float64(e.Sent))
	m.bytes.WithLabelValues(service, "up").Add(float64(e.Received))
	m.carriers.Add(float64(e.Carriers))
}
