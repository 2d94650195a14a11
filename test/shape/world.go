package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"culvert/internal/seal"
	"culvert/test/ports"
	"culvert/test/standin"
)

// world is an nginx with an origin and the chat sites behind it, taps before it, a WhatsApp behind the origin, and a
// Chromium.
type world struct {
	options
	dir      string
	log      *captures
	standIn  *standin.Server
	chat     *chatServer
	programs []*exec.Cmd
	edge     string // where nginx leads to the origin
	sites    string // where it leads to the sites
	links    []string
}

// newWorld starts all but clients and Chromium. The caller closes it also after an error.
func newWorld(ctx context.Context, o options) (w *world, err error) {
	w = &world{options: o, log: &captures{lasts: o.lasts * 9 / 10}}
	if w.dir, err = os.MkdirTemp("", "shape"); err != nil {
		return w, err
	}
	origin, chat := ports.Loopback(), ports.Loopback()
	w.edge, w.sites = ports.Loopback(), ports.Loopback()
	for _, step := range []func() error{
		w.makeCertificate,
		func() error { return w.startOrigin(ctx, origin) },
		func() error { return w.startSites(chat) },
		func() error { return w.startNginx(ctx, origin, chat) },
		w.makeLinks,
	} {
		if err := step(); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w *world) close() {
	for _, p := range w.programs {
		end(p)
	}
	if w.standIn != nil {
		w.standIn.Close()
	}
	os.RemoveAll(w.dir)
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

// program starts one that ends with the world.
func (w *world) program(env []string, name string, args ...string) (*exec.Cmd, error) {
	p, err := start(env, name, args...)
	if err == nil {
		w.programs = append(w.programs, p)
	}
	return p, err
}

func start(env []string, name string, args ...string) (*exec.Cmd, error) {
	p := exec.Command(name, args...)
	p.Env = append(env, "PATH="+os.Getenv("PATH"))
	return p, p.Start()
}

// endWithin is the time that a program has to end when it is told to.
const endWithin = 3 * time.Second

func end(p *exec.Cmd) {
	p.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(endWithin, func() { p.Process.Kill() })
	defer kill.Stop()
	p.Wait()
}

// startWithin is the time that a program has to listen.
const startWithin = time.Minute

func listens(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		c, err := net.Dial("tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("nobody listens at %s: %w", address, err)
		}
	}
}

func (w *world) makeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "front.example"}, DNSNames: []string{"front.example", "chat.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return errors.Join(os.WriteFile(w.file("cert.pem"), chain, 0o600),
		os.WriteFile(w.file("pair.pem"), append(chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), 0o600))
}

// startOrigin starts one that finds WhatsApp some way off: chat, which is a script, and the media of a stand-in.
func (w *world) startOrigin(ctx context.Context, at string) (err error) {
	if err := os.WriteFile(w.file("secret"), []byte(seal.NewMaster().Text()+"\n"), 0o600); err != nil {
		return err
	}
	if w.standIn, err = standin.New(); err != nil {
		return err
	}
	var upstream [2]*tap
	for i, serve := range []func(net.Listener) error{w.serveChat, w.standIn.ServeMedia} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		go serve(l)
		if upstream[i], err = newTap(l.Addr().String(), "", "", nil); err != nil {
			return err
		}
	}
	_, err = w.program([]string{
		"CULVERT_LISTEN=" + at, "CULVERT_SECRET_FILE=" + w.file("secret"), "CULVERT_ADMIN_LISTEN=off", "CULVERT_ALLOW_PRIVATE=true",
		"CULVERT_UPSTREAM_CHAT=" + upstream[0].listener.Addr().String(), "CULVERT_UPSTREAM_MEDIA=" + upstream[1].listener.Addr().String(),
		"CULVERT_DRAIN=1s",
	}, filepath.Join(w.bin, "origin"))
	return errors.Join(err, listens(ctx, at))
}

// startSites serves the chat pages, each site's sockets behind a tap of its own.
func (w *world) startSites(at string) error {
	all := allKinds(w.web != "")
	w.chat = &chatServer{seed: w.seed, kinds: all, pages: http.NotFoundHandler(), total: w.users * w.each, allOver: make(chan struct{}), lasts: w.lasts}
	for n := range w.users {
		t, err := newTap(w.sites, "chat", fmt.Sprint(w.chat.kind(n).label(), " ", n), w.log)
		if err != nil {
			return err
		}
		w.chat.ports = append(w.chat.ports, t.port())
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		return err
	}
	if w.web != "" {
		w.chat.pages = http.StripPrefix("/web/", http.FileServer(http.Dir(filepath.Join(w.web, "pages"))))
	}
	go http.Serve(l, w.chat)
	if w.web == "" {
		return nil
	}
	_, err = w.program(nil, "node", filepath.Join(w.web, "server.js"), w.file("real"))
	return err
}

// nginxConfig has TLS 1.2, where the records that are not counted can be told from those that are. Its records are
// otherwise as TLS 1.3's.
const nginxConfig = `
daemon off;
master_process off;
user root root;
pid DIR/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
	access_log off;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	ssl_certificate DIR/pair.pem;
	ssl_certificate_key DIR/pair.pem;
	ssl_protocols TLSv1.2;
	proxy_http_version 1.1;
	proxy_set_header Host $host;
	proxy_set_header Upgrade $http_upgrade;
	proxy_set_header Connection "upgrade";
	server {
		listen EDGE ssl;
		location / { proxy_pass http://ORIGIN; }
	}
	server {
		listen SITES ssl http2;
		location / { proxy_pass http://CHAT; }
		LIBRARIES
	}
}
`

func (w *world) startNginx(ctx context.Context, origin, chat string) error {
	var places strings.Builder
	if w.web != "" {
		for _, name := range libraries {
			fmt.Fprintf(&places, "location /real/%[1]s { proxy_pass http://unix:%[2]s/%[1]s.sock; }\n", name, w.file("real"))
		}
	}
	config := strings.NewReplacer("DIR", w.dir, "EDGE", w.edge, "SITES", w.sites, "ORIGIN", origin, "CHAT", chat, "LIBRARIES", places.String()).Replace(nginxConfig)
	if err := os.WriteFile(w.file("nginx.conf"), []byte(config), 0o600); err != nil {
		return err
	}
	_, err := w.program(nil, "nginx", "-p", w.dir, "-c", w.file("nginx.conf"), "-e", "stderr")
	return errors.Join(err, listens(ctx, w.edge))
}

// makeLinks makes one for each user, by a tap of the user's own.
func (w *world) makeLinks() error {
	for n := range w.users {
		t, err := newTap(w.edge, "culvert", fmt.Sprint("user ", n), w.log)
		if err != nil {
			return err
		}
		out, err := exec.Command(filepath.Join(w.bin, "culvert"), "link", "new", "--secret-file", w.file("secret"), "--user", fmt.Sprint(n+1),
			"--pin", w.file("cert.pem"), "--front", fmt.Sprintf("wss://front.example:%d/;dial=127.0.0.1", t.port())).Output()
		if err != nil {
			return fmt.Errorf("make a link: %w", err)
		}
		w.links = append(w.links, w.file(fmt.Sprint("link", n)))
		if err := os.WriteFile(w.links[n], out, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// captureAll has the pages among what is captured: those of now, or of before.
func (w *world) captureAll(ctx context.Context) error {
	if w.pages != "" {
		return w.log.read(w.pages)
	}
	return w.visitAll(ctx)
}

// visitAll has Chromium visit the sites.
func (w *world) visitAll(ctx context.Context) error {
	_, port, _ := net.SplitHostPort(w.sites)
	p, err := start([]string{"HOME=" + w.file("home"), "XDG_RUNTIME_DIR=" + w.dir}, w.chromium, "--headless=new", "--no-sandbox", "--disable-gpu",
		"--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--ignore-certificate-errors",
		"--host-resolver-rules=MAP *.example 127.0.0.1, MAP * ~NOTFOUND", "--user-data-dir="+w.file("chromium"),
		"--remote-debugging-port=0", fmt.Sprintf("https://chat.example:%s/page?parallel=%d", port, w.parallel))
	if err != nil {
		return err
	}
	defer end(p)
	ctx, cancel := context.WithTimeout(ctx, w.limit())
	defer cancel()
	select {
	case <-w.chat.allOver:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("of %[2]d visits %[1]d were made: %[3]w", w.chat.over.Load(), w.chat.total, ctx.Err())
	}
}

// limit is when sessions have surely ended.
func (w *world) limit() time.Duration {
	return 2*w.lasts*time.Duration(1+w.users*w.each/w.parallel) + time.Minute
}
