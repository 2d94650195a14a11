package fronting

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"culvert/test/ports"
)

// A CDN carries our site beside another under these names: the certificate and
// the SNI are the other's, and only the Host inside TLS is ours.
const (
	hidden = "hidden.example"
	other  = "other.example"
)

const otherSite = "the other site\n"

// cdn ends TLS and routes by Host, at one address all its life.
type cdn struct {
	*world
	address string
	pin     string // its certificate's file
	pair    string // certificate and key
	idle    time.Duration
	run     func(*cdn) *program
	restart func(*cdn) // leaves no connection of the old process when it returns
	now     *program
	all     []*program
}

func newCDN(w *world, idle time.Duration, run func(*cdn) *program, restart func(*cdn)) *cdn {
	w.Helper()
	c := &cdn{world: w, address: ports.Loopback(), idle: idle, run: run, restart: restart}
	c.makeCertificate()
	c.launch()
	return c
}

// launch starts the program, which gets to know of the one before.
func (c *cdn) launch() {
	c.now = c.run(c)
	c.all = append(c.all, c.now)
	c.now.up(c.address)
}

func (c *cdn) makeCertificate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(c, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: other}, DNSNames: []string{other},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(c, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(c, err)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	dir := c.TempDir() // a world may have several
	c.pin = write(c, string(cert), dir, "cdn.pem")
	c.pair = write(c, string(cert)+string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), dir, "cdn-pair.pem")
}

// front is how a link names this CDN, with host and the options given.
func (c *cdn) front(host, options string) string {
	return "wss://" + c.address + "/assets/live;host=" + host + options
}

// sockets is how many WebSockets have ended: each is a line of the log then.
func (c *cdn) sockets() (n int) {
	for _, p := range c.all {
		n += strings.Count(p.out.String(), "request "+hidden+" 101")
	}
	return n
}

func nginx(w *world, idle time.Duration) *cdn {
	return newCDN(w, idle, startNginx, func(c *cdn) {
		old := c.workers()
		must(c, c.now.cmd.Process.Signal(syscall.SIGHUP)) // what "nginx -s reload" sends
		wantSoon(c, 20*time.Second, "nginx's old worker ends", func() bool { return c.workers() != old && c.workers() != "" })
	})
}

// workers are the process numbers of nginx's workers, once there is one only.
func (c *cdn) workers() string {
	pid := c.now.cmd.Process.Pid
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if f := strings.Fields(string(b)); len(f) == 1 {
		return f[0]
	}
	return ""
}

func startNginx(c *cdn) *program { return startNginxWith(c, nginxConfig) }

func startNginxWith(c *cdn, text string) *program {
	path := need(c, "nginx")
	config := write(c, strings.NewReplacer("DIR", c.dir, "ADDRESS", c.address, "PAIR", c.pair, "ORIGIN", c.origin,
		"IDLE", fmt.Sprint(c.idle.Milliseconds(), "ms"), "HIDDEN", hidden, "OTHER", other).Replace(text), c.dir, "nginx.conf")
	return start(c, nil, path, "-p", c.dir, "-c", config, "-e", "stderr")
}

// nginxConfig is that of a CDN: two sites, one certificate, HTTP/2 where asked for.
const nginxConfig = `
daemon off;
user root root;
worker_processes 1;
worker_shutdown_timeout 200ms;
pid DIR/nginx.pid;
error_log stderr error;
events { worker_connections 512; }
http {
	log_format short 'request $host $status';
	access_log /dev/stderr short;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	ssl_certificate PAIR;
	ssl_certificate_key PAIR;
	ssl_protocols TLSv1.2 TLSv1.3;
	map $http_upgrade $passed { default upgrade; '' ''; }
	server {
		listen ADDRESS ssl http2 default_server;
		server_name OTHER;
		location / { default_type text/plain; return 200 "the other site\n"; }
	}
	server {
		listen ADDRESS ssl http2;
		server_name HIDDEN;
		location / {
			proxy_pass http://ORIGIN;
			proxy_http_version 1.1;
			proxy_set_header Host $host;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $passed;
			proxy_read_timeout IDLE;
		}
	}
}
`

func haproxy(w *world, idle time.Duration) *cdn {
	return newCDN(w, idle, startHAProxy, func(c *cdn) {
		old := c.now
		c.launch()
		wantSoon(c, 20*time.Second, "HAProxy's old process ends", old.gone)
	})
}

// startHAProxy tells the process before, if there is one, to go at once.
func startHAProxy(c *cdn) *program { return startHAProxyWith(c, haproxyConfig) }

func startHAProxyWith(c *cdn, text string) *program {
	path := need(c, "haproxy")
	config := write(c, strings.NewReplacer("ADDRESS", c.address, "PAIR", c.pair, "ORIGIN", c.origin,
		"IDLE", fmt.Sprint(c.idle.Milliseconds(), "ms"), "HIDDEN", hidden).Replace(text), c.dir, "haproxy.cfg")
	args := []string{"-db", "-f", config}
	if c.now != nil {
		args = append(args, "-sf", fmt.Sprint(c.now.cmd.Process.Pid))
	}
	return start(c, nil, path, args...)
}

const haproxyConfig = `
global
	hard-stop-after 200ms
	log stderr format raw local0
defaults
	log global
	log-format "request %[var(txn.host)] %ST %ts %Tt %B %U"
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
	timeout tunnel IDLE
frontend cdn
	bind ADDRESS ssl crt PAIR alpn h2,http/1.1
	http-request set-var(txn.host) req.hdr(host),field(1,:)
	use_backend hidden if { var(txn.host) -m str -i HIDDEN }
	default_backend other
backend hidden
	server origin ORIGIN
backend other
	http-request return status 200 content-type text/plain lf-string "the other site\n"
`

// cdns are the CDNs that tests run over.
func cdns(t *testing.T, idle time.Duration, test func(t *testing.T, c *cdn)) {
	for name, start := range map[string]func(*world, time.Duration) *cdn{"nginx": nginx, "HAProxy": haproxy} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			need(t, strings.ToLower(name))
			test(t, start(newWorld(t), idle))
		})
	}
}
