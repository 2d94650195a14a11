package passthrough

import "github.com/prometheus/client_golang/prometheus"

// counters of an edge. None has a label that a visitor chooses.
type counters struct {
	open   prometheus.Gauge   // how many WebSockets are being passed on?
	opened prometheus.Counter // how often do clients come?
	ended  prometheus.Counter // how many were ended for having been idle?
	failed prometheus.Counter // how often did the origin not answer?
	full   prometheus.Counter // is MaxSockets too low?
	up     prometheus.Counter // bytes from users to the origin
	down   prometheus.Counter // bytes from the origin to users
}

func newCounters(to prometheus.Registerer) (counters, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "culvert", Subsystem: "edge", Name: name, Help: help})
	}
	c := counters{
		open: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "culvert", Subsystem: "edge",
			Name: "sockets", Help: "WebSockets being passed on."}),
		opened: counter("sockets_opened_total", "WebSockets that the origin admitted."),
		ended:  counter("sockets_idle_total", "WebSockets ended because nothing moved for too long."),
		failed: counter("origin_failures_total", "Requests that the origin did not answer and the site did."),
		full:   counter("sockets_refused_total", "WebSockets refused because too many are open or the edge is stopping."),
		up:     counter("up_bytes_total", "Bytes passed from users to the origin."),
		down:   counter("down_bytes_total", "Bytes passed from the origin to users."),
	}
	if to == nil {
		return c, nil
	}
	for _, each := range []prometheus.Collector{c.open, c.opened, c.ended, c.failed, c.full, c.up, c.down} {
		if err := to.Register(each); err != nil {
			return c, err
		}
	}
	return c, nil
}
