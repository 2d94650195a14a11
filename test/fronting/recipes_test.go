package fronting

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"culvert/test/ports"
)

// A recipe is a file of docs/cdn that makes an edge of somebody else's program, or one of testdata
// that behaves as a CDN does.
type recipe struct {
	file, program string
	as            string // the CDN that one of testdata behaves as
	around        string // what the program's main settings are, with FILE for the recipe and DIR for a folder
	args          []string
	plain         bool              // it speaks no TLS
	wrong         *strings.Replacer // what an operator has set wrongly; may be nil
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

// run starts the recipe's program before an origin of w, and returns a front by it and the certificate's file.
func (r recipe) run(w *world, origin string) (front, pin string) {
	path := need(w, r.program)
	folder := "../../docs/cdn"
	if r.as != "" {
		folder = "testdata"
	}
	content, err := os.ReadFile(filepath.Join(folder, r.file))
	must(w, err)
	c := &cdn{world: w, address: ports.Loopback()}
	c.makeCertificate()
	host, port, _ := net.SplitHostPort(origin)
	_, ours, _ := net.SplitHostPort(c.address)
	fill := strings.NewReplacer(`"10.0.0.2", port_value: 8080`, `"`+host+`", port_value: `+port, "port_value: 443", "port_value: "+ours,
		"10.0.0.2:8080", origin, `"10.0.0.2"`, `"`+host+`"`, `"8080"`, `"`+port+`"`, "edge.example:443", other+":"+ours,
		"*:443", "*:"+ours, ":443", ":"+ours, "listen 443", "listen "+ours, "Listen 443", "Listen "+ours, "edge.example", other,
		"/etc/ssl/edge.pem", c.pair, "/etc/ssl/edge.key", c.pair, "/etc/ssl/edge-and-key.pem", c.pair)
	dir := w.TempDir()
	if r.wrong != nil {
		content = []byte(r.wrong.Replace(string(content)))
	}
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
			seen := newWitness(w)
			front, pin := r.run(w, seen.at)
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
			if r.as == "" {
				seen.wantNobody(address)
			}
		})
	}
}

// witness passes on to w's origin what comes to an address of its own, and keeps it.
type witness struct {
	*world
	at string

	mu  sync.Mutex
	got bytes.Buffer
}

func newWitness(w *world) *witness {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(w, err)
	t := &witness{world: w, at: ln.Addr().String()}
	var carrying sync.WaitGroup
	ctx, end := context.WithCancel(context.Background())
	carrying.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			carrying.Go(func() { t.carry(ctx, c) })
		}
	})
	w.Cleanup(func() {
		end()
		ln.Close()
		carrying.Wait()
	})
	return t
}

func (t *witness) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.got.Write(b)
}

// carry passes both directions on until one ends, or ctx.
func (t *witness) carry(ctx context.Context, c net.Conn) {
	defer c.Close()
	far, err := net.Dial("tcp", t.origin)
	if err != nil {
		return
	}
	defer far.Close()
	stop := context.AfterFunc(ctx, func() { c.Close(); far.Close() })
	defer stop()
	var back sync.WaitGroup
	back.Go(func() {
		io.Copy(c, far) // ends with either, and so does the other
		c.Close()
	})
	io.Copy(far, io.TeeReader(c, t))
	far.Close()
	back.Wait()
}

// wantNobody wants the origin to be told of nobody's address by the edge at address, whose own may be there.
func (t *witness) wantNobody(address string) {
	t.Helper()
	const stranger = "127.0.0.9"
	for _, more := range [][]string{nil, {"--header", "Connection: Upgrade", "--header", "Upgrade: websocket",
		"--header", "Sec-WebSocket-Version: 13", "--header", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}} {
		ask(t, append(more, "--interface", stranger, "--connect-to", other+":443:"+address, "https://"+other+"/seen")...)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !bytes.Contains(t.got.Bytes(), []byte("GET /seen ")) {
		t.Error("the stranger's request did not come to the origin")
	}
	for line := range bytes.Lines(t.got.Bytes()) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if value = bytes.ReplaceAll(value, []byte(address), nil); bytes.Contains(value, []byte("127.0.0.")) {
			t.Errorf("the origin is told of a client's address: got %q in %s, want none", bytes.TrimSpace(value), name)
		}
	}
}
