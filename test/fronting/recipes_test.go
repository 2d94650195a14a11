package fronting

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A recipe is a file of docs/cdn that makes an edge of somebody else's program, or one of testdata
// that behaves as a CDN does.
type recipe struct {
	file, program string
	as            string // the CDN that one of testdata behaves as
	around        string // what the program's main settings are, with FILE for the recipe and DIR for a folder
	args          []string
	plain         bool // it speaks no TLS
}

const aroundNginx = `
daemon off;
user root root;
pid DIR/nginx.pid;
error_log stderr error;
events {}
http {
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	include FILE;
}
`

var nginxArgs = []string{"-p", "DIR", "-c", "MAIN", "-e", "stderr"}

var recipes = []recipe{
	{file: "nginx.conf", program: "nginx", args: nginxArgs, around: aroundNginx},
	{file: "cloudflare.conf", program: "nginx", as: "cloudflare", args: nginxArgs, around: aroundNginx},
	{file: "envoy.yaml", program: "envoy", args: []string{"-c", "FILE", "--use-dynamic-base-id", "--concurrency", "1", "-l", "error"}},
	{file: "haproxy.cfg", program: "haproxy", args: []string{"-db", "-f", "FILE"}},
	{file: "Caddyfile", program: "caddy", args: []string{"run", "--config", "FILE", "--adapter", "caddyfile"}},
	{file: "apache.conf", program: "apache2", args: []string{"-D", "FOREGROUND", "-f", "MAIN"}, around: `
ServerRoot DIR
PidFile DIR/apache.pid
ErrorLog /dev/stderr
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule socache_shmcb_module /usr/lib/apache2/modules/mod_socache_shmcb.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
Include FILE
`},
	{file: "varnish.vcl", program: "varnishd", plain: true,
		args: []string{"-F", "-j", "none", "-n", "DIR/varnish", "-a", "ADDRESS", "-f", "FILE", "-p", "pipe_timeout=600"}},
}

// run starts the recipe's program before w's origin, and returns a front by it and the certificate's file.
func (r recipe) run(w *world) (front, pin string) {
	path := need(w, r.program)
	folder := "../../docs/cdn"
	if r.as != "" {
		folder = "testdata"
	}
	content, err := os.ReadFile(filepath.Join(folder, r.file))
	must(w, err)
	c := &cdn{world: w, address: freePort(w)}
	c.makeCertificate()
	host, port, _ := net.SplitHostPort(w.origin)
	_, ours, _ := net.SplitHostPort(c.address)
	fill := strings.NewReplacer(`"10.0.0.2", port_value: 8080`, `"`+host+`", port_value: `+port, "port_value: 443", "port_value: "+ours,
		"10.0.0.2:8080", w.origin, `"10.0.0.2"`, `"`+host+`"`, `"8080"`, `"`+port+`"`, "edge.example:443", other+":"+ours,
		"*:443", "*:"+ours, ":443", ":"+ours, "listen 443", "listen "+ours, "Listen 443", "Listen "+ours, "edge.example", other,
		"/etc/ssl/edge.pem", c.pair, "/etc/ssl/edge.key", c.pair, "/etc/ssl/edge-and-key.pem", c.pair)
	dir := w.TempDir()
	file := write(w, fill.Replace(string(content)), dir, r.file)
	name := strings.NewReplacer("FILE", file, "DIR", dir, "ADDRESS", c.address, "MAIN", filepath.Join(dir, "main.conf"))
	write(w, name.Replace(r.around), dir, "main.conf")
	args := make([]string, len(r.args))
	for i, a := range r.args {
		args[i] = name.Replace(a)
	}
	start(w, []string{"HOME=" + dir}, path, args...).up(c.address)
	if r.plain {
		return w.tlsBefore(c.address)
	}
	return c.front(other, ";sni="+other), c.pin
}

// What docs/cdn says of other people's programs makes edges of them.
func TestEachRecipeMakesAnEdge(t *testing.T) {
	t.Parallel()
	for _, r := range recipes {
		t.Run(r.program+r.as, func(t *testing.T) {
			t.Parallel()
			need(t, r.program)
			w := newWorld(t)
			front, pin := r.run(w)
			link := w.link(pin, front)
			if v, err := w.doctor(link); err != nil || !v.OK {
				t.Fatalf("doctor: got %v, failed at %q, want all well", err, v.failedAt())
			}
			exchange(t, w.connect(link), 4<<20)
			address, _, _ := strings.Cut(strings.TrimPrefix(front, "wss://"), "/")
			for _, path := range []string{"/", "/no-such-page"} {
				got := ask(t, "--connect-to", other+":443:"+address, "https://"+other+path)
				if want := ask(t, "http://"+w.origin+path); got.status != want.status || got.body != want.body {
					t.Errorf("a stranger at %s: got %s %q, want %s %q", path, got.status, got.body, want.status, want.body)
				}
			}
		})
	}
}
