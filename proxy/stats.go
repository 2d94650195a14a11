package proxy

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"time"

	"culvert/internal/share"
)

// wrongRate, a second, and wrongBurst bound how often a password may be tried, by all together.
const (
	wrongRate  = 1
	wrongBurst = 10
)

// Stats shows what s does to who knows the password, under any user name: a page, and the same for Prometheus at
// /metrics. It names no address. Anybody may ask /healthz whether new connections are welcome.
func (s *Server) Stats(password string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /metrics", s.metrics)
	want := sha256.Sum256([]byte(password))
	wrong := share.NewRates[struct{}](wrongRate, wrongBurst)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			s.health(w)
			return
		}
		_, given, ok := r.BasicAuth()
		got := sha256.Sum256([]byte(given))
		if ok && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			mux.ServeHTTP(w, r)
			return
		}
		if ok && !wrong.Allow(struct{}{}, time.Now()) {
			http.Error(w, "too many wrong passwords: wait a minute", http.StatusTooManyRequests)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="stats"`)
		http.Error(w, "the password is missing or wrong", http.StatusUnauthorized)
	})
}

// counter is one thing that is counted, for each service.
type counter struct {
	name, kind, help string
	of               func(*traffic) int64
}

var counters = []counter{
	{"culvert_proxy_connections", "gauge", "How many connections are there now?", func(t *traffic) int64 { return t.now.Load() }},
	{"culvert_proxy_connections_opened_total", "counter", "How many were there?", func(t *traffic) int64 { return t.opened.Load() }},
	{"culvert_proxy_failed_total", "counter", "For how many was WhatsApp not reached?", func(t *traffic) int64 { return t.failed.Load() }},
	{"culvert_proxy_up_bytes_total", "counter", "How many bytes went to WhatsApp, by connections that have ended?", func(t *traffic) int64 { return t.up.Load() }},
	{"culvert_proxy_down_bytes_total", "counter", "How many came from it, by connections that have ended?", func(t *traffic) int64 { return t.down.Load() }},
}

const displaced = "culvert_proxy_displaced_total"

// services are the labels of Server.services.
var services = [...]string{"chat", "media"}

func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	for _, c := range counters {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %[1]s %[3]s\n", c.name, c.help, c.kind)
		for i, name := range services {
			fmt.Fprintf(w, "%s{service=%q} %d\n", c.name, name, c.of(&s.services[i]))
		}
	}
	fmt.Fprintf(w, "# HELP %s How many ended for others?\n# TYPE %[1]s counter\n%[1]s %[2]d\n", displaced, s.places.Displaced())
}

func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=10><title>Proxy</title>"+
		"<style>body{font:1rem sans-serif;margin:2rem}td,th{padding:.3rem 1rem;text-align:right}th:first-child,td:first-child{text-align:left}</style>"+
		"<h1>Proxy</h1><table><tr><th><th>chat<th>media")
	for _, c := range counters {
		fmt.Fprintf(w, "<tr><td>%s<td>%d<td>%d", c.help, c.of(&s.services[0]), c.of(&s.services[1]))
	}
	fmt.Fprintf(w, "</table><p>%d of %d places are taken; %d connections ended for others.</html>", s.places.Len(), s.places.Size(), s.places.Displaced())
}

// health says whether new connections are welcome.
func (s *Server) health(w http.ResponseWriter) {
	if s.draining.Load() {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}
