package serve

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewRegistry holds the metrics of the Go runtime and the process to begin with.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// admin answers /healthz, with 200 while new connections are welcome and 503
// from the beginning of the drain on, and /metrics.
type admin struct {
	draining atomic.Bool
	metrics  http.Handler
}

func newAdmin(metrics prometheus.Gatherer) *admin {
	return &admin{metrics: promhttp.HandlerFor(metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4})}
}

func (a *admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
		a.health(w)
	case "/metrics":
		a.metrics.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (a *admin) health(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if a.draining.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "draining")
		return
	}
	fmt.Fprintln(w, "ok")
}

// listen returns nil if at is Off.
func (at AdminAddress) listen(log *slog.Logger) (net.Listener, error) {
	if at == Off || at == "" {
		return nil, nil
	}
	if !at.IsLoopback() {
		log.Warn("CULVERT_ADMIN_LISTEN is not a loopback address: others may read the metrics", "address", string(at))
	}
	ln, err := net.Listen("tcp", string(at))
	if err != nil {
		return nil, fmt.Errorf("CULVERT_ADMIN_LISTEN: %w", err)
	}
	return ln, nil
}
