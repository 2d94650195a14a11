package fronting

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"
)

// fault is a setting by which an operator's CDN carries pages and no carriers, and the word by which doctor names it.
type fault struct {
	cause, hop string
	nginx      string // what takes the place of nginx's location, if it has such a fault
	haproxy    string // a rule more of HAProxy's, if it has
	idle       time.Duration
	args       []string
}

var faults = map[string]fault{
	"no WebSockets": {cause: "no_upgrade", hop: "gate", // what nginx does unless it is told otherwise
		nginx: "proxy_pass http://ORIGIN; proxy_set_header Host $host;", haproxy: "http-request del-header Upgrade"},
	"no cookies": {cause: "no_cookies", hop: "gate",
		nginx: passing + `proxy_set_header Cookie "";`, haproxy: "http-request del-header Cookie"},
	"a host that is not served": {cause: "wrong_host", hop: "gate", nginx: "return 421;", haproxy: "http-request return status 421"},
	"a login page":              {cause: "redirect", hop: "gate", nginx: "return 302 https://login.example/;", haproxy: "http-request redirect location https://login.example/"},
	"an origin that is down":    {cause: "origin_down", hop: "gate", nginx: strings.Replace(passing, "ORIGIN", "127.0.0.1:1", 1), haproxy: "http-request return status 503"},
	"its own pages":             {cause: "no_websocket", hop: "gate", nginx: "default_type text/plain; return 200 hello;"},
	"a time-out that is short": {cause: "idle_cut", hop: "path", nginx: passing + "proxy_read_timeout IDLE; proxy_send_timeout IDLE;",
		haproxy: "http-request set-var(txn.a) int(1)", idle: 1500 * time.Millisecond, args: []string{"--patient", "4s"}},
}

const passing = "proxy_pass http://ORIGIN; proxy_http_version 1.1; proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $passed; "

// faultyNginx has another location for our site than nginxConfig.
func faultyNginx(location string) func(*cdn) *program {
	before, after, _ := strings.Cut(nginxConfig, "location / {\n\t\t\tproxy_pass")
	_, after, _ = strings.Cut(after, "}")
	return func(c *cdn) *program { return startNginxWith(c, before+"location / { "+location+" }"+after) }
}

// Who runs an edge is told by doctor which of its settings is wrong, by a word that stays the same.
func TestDoctorNamesWhatAnEdgeIsSetWrongly(t *testing.T) {
	t.Parallel()
	for name, f := range faults {
		for program, run := range map[string]func(*cdn) *program{"nginx": faultyNginx(f.nginx), "HAProxy": faultyHAProxy(f.haproxy)} {
			if program == "HAProxy" && f.haproxy == "" {
				continue
			}
			t.Run(name+" at "+program, func(t *testing.T) {
				t.Parallel()
				need(t, strings.ToLower(program))
				c := newCDN(newWorld(t), cmp.Or(f.idle, time.Minute), run, nil)
				v, _ := c.doctor(c.link(c.pin, c.front(hidden, ";sni="+other)), f.args...)
				if hop, cause := v.met(); hop != f.hop || cause != f.cause {
					t.Errorf("got %q at %q, want %q at %q", cause, hop, f.cause, f.hop)
				}
			})
		}
	}
}

// Envoy's filter waits for the end of a request, which a WebSocket's has not.
const bufferFilter = `http_filters:
                  - name: buffer
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer
                      max_request_bytes: 65536`

func TestDoctorNamesAnEdgeThatBuffers(t *testing.T) {
	t.Parallel()
	need(t, "envoy")
	w := newWorld(t)
	i := slices.IndexFunc(recipes, func(r recipe) bool { return r.program == "envoy" })
	envoy := recipes[i]
	envoy.wrong = strings.NewReplacer("http_filters:", bufferFilter)
	front, pin := envoy.run(w, w.origin)
	v, _ := w.doctor(w.link(pin, front))
	if hop, cause := v.met(); hop != "gate" || cause != "buffers" {
		t.Errorf("got %q at %q, want %q at %q", cause, hop, "buffers", "gate")
	}
}

// met is the first thing that was met on the way, where it worked nevertheless or not.
func (v verdict) met() (hop, cause string) {
	for _, c := range v.Checks {
		if c.Cause != "" {
			return c.Hop, c.Cause
		}
	}
	return "", ""
}

// faultyHAProxy has one rule more for our site.
func faultyHAProxy(rule string) func(*cdn) *program {
	config := strings.Replace(haproxyConfig, "backend hidden\n", "backend hidden\n\t"+rule+"\n", 1)
	return func(c *cdn) *program { return startHAProxyWith(c, config) }
}
