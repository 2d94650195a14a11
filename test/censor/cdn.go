//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// cdn is a program that ends TLS at a front's address and passes WebSockets on.
type cdn struct {
	program string
	config  string
	args    func(dir, config string) []string
}

var nginx = cdn{"nginx", nginxConfig, func(dir, config string) []string {
	return []string{"-p", dir, "-c", config, "-e", "stderr"}
}}

var haproxy = cdn{"haproxy", haproxyConfig, func(_, config string) []string {
	return []string{"-db", "-f", config}
}}

// One process without a master is what ends when it is told to.
const nginxConfig = `
daemon off;
master_process off;
user root root;
pid DIR/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	ssl_certificate PAIR;
	ssl_certificate_key PAIR;
	ssl_protocols TLSv1.2 TLSv1.3;
	ssl_session_cache shared:tls:1m;
	server {
		listen ADDRESS ssl;
		location / {
			proxy_pass SCHEME://BACKEND;
			proxy_http_version 1.1;
			proxy_set_header Host HOST;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection "upgrade";
			proxy_read_timeout IDLE;
			proxy_send_timeout IDLE;
		}
	}
}
`

const haproxyConfig = `
global
	nbthread 1
	hard-stop-after 200ms
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
	timeout tunnel IDLE
frontend cdn
	bind ADDRESS ssl crt PAIR alpn http/1.1
	http-request set-header Host HOST
	default_backend origin
backend origin
	server origin BACKEND HATLS
`

// startCDN starts the front's program before the door.
func (w *world) startCDN(f front) error {
	path, err := find(f.cdn.program)
	if err != nil {
		return err
	}
	dir := filepath.Join(w.dir, f.name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	scheme, backend, tls, host := "http", originAt, "", f.name
	if w.set.gateway {
		scheme, backend, tls, host = "https", gatewayAt, "ssl verify none", gatewayAt
	}
	text := strings.NewReplacer("DIR", dir, "ADDRESS", f.address.String()+":443", "PAIR", w.file("pair.pem"), "SCHEME", scheme,
		"BACKEND", backend, "HOST", host, "HATLS", tls, "IDLE", fmt.Sprint(w.set.idle.Milliseconds(), "ms")).Replace(f.cdn.config)
	config := filepath.Join(dir, "config")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	p, err := w.start(w.path.Server, nil, path, f.cdn.args(dir, config)...)
	if err != nil {
		return err
	}
	return p.listens(w.ctx, f.address.String()+":443")
}

// A CDN's full handshake brings 4.3 kB, ours without this about 1.3 kB.
const fillers, fillerLen = 2, 1000

// makeCertificate writes a chain that is about as long as a CDN's, with its key.
func (w *world) makeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := certificate("front.example")
	leaf.DNSNames = []string{"*.front.example"}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		return err
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(w.file("cert.pem"), chain, 0o600); err != nil {
		return err
	}
	for i := range fillers {
		filler := certificate(fmt.Sprint("filler ", i))
		filler.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, i + 1}, Value: make([]byte, fillerLen)}}
		if der, err = x509.CreateCertificate(rand.Reader, filler, filler, key.Public(), key); err != nil {
			return err
		}
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	return os.WriteFile(w.file("pair.pem"), append(chain, secret...), 0o600)
}

func certificate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}
