package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"time"
)

// siteName is the name that browsers are sent to; it is nobody's (RFC 2606).
const siteName = "www.site.test"

// patience bounds each connection to a site.
const patience = 20 * time.Second

// visitor is one connection to a site: the ClientHello's record, and what was asked by it.
type visitor struct {
	hello []byte
	head  string   // of the request by HTTP/1.1, without the empty line
	opens *opening // how it began by HTTP/2; nil: it did not
}

// asks reports whether the visitor asks for a WebSocket.
func (v visitor) asks() bool {
	return strings.Contains(strings.ToLower(v.head), "\nupgrade: websocket")
}

// site is a website on this machine that writes down what its visitors send before anything is encrypted,
// and the heads of their requests. Its page opens WebSockets one after another.
type site struct {
	ln        net.Listener
	authority []byte
	cert      tls.Certificate
	config    *tls.Config   // by which no session is resumed, unless somebody says so before the first visitor
	sockets   int           // how many the page opens
	visitors  chan visitor  // those that have said all
	questions chan question // of visitors, if the page embeds something; nil: it is sitePage
}

func newSite(sockets int, protocols ...string) (*site, error) {
	authority, cert, err := newCertificates()
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: protocols, SessionTicketsDisabled: true}
	s := &site{ln, authority, cert, config, sockets, make(chan visitor, 100), nil}
	go s.serve()
	return s, nil
}

// newCertificates makes an authority, and what it says for the site: browsers take none that is both.
func newCertificates() (authority []byte, leaf tls.Certificate, err error) {
	ca := &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}
	caKey, authority, err := issue(ca, ca, nil)
	if err != nil {
		return nil, leaf, err
	}
	key, der, err := issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: siteName}, DNSNames: []string{siteName},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca, caKey)
	return authority, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// issue has parent sign what template says; no key of its: template's own.
func issue(template, parent *x509.Certificate, by *ecdsa.PrivateKey) (key *ecdsa.PrivateKey, der []byte, err error) {
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, nil, err
	}
	if by == nil {
		by = key
	}
	template.SerialNumber, template.BasicConstraintsValid = big.NewInt(time.Now().UnixNano()), true
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	der, err = x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	return key, der, err
}

// pem is the site's authority as a file has it.
func (s *site) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.authority})
}

func (s *site) port() int   { return s.ln.Addr().(*net.TCPAddr).Port }
func (s *site) url() string { return fmt.Sprintf("https://%s:%d/", siteName, s.port()) }
func (s *site) close()      { s.ln.Close() }

func (s *site) serve() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		go s.receive(c)
	}
}

// receive serves one connection, which brings one request.
func (s *site) receive(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	hello, err := readRecord(c)
	if err != nil {
		return
	}
	secure := tls.Server(&replayed{c, bytes.NewReader(hello)}, s.config)
	if secure.Handshake() != nil {
		return
	}
	switch isH2 := secure.ConnectionState().NegotiatedProtocol == "h2"; {
	case s.questions != nil && isH2:
		s.servePartsH2(secure)
		return
	case s.questions != nil:
		s.servePartsH1(secure)
		return
	case isH2:
		s.receiveH2(secure, hello)
		return
	}
	r := bufio.NewReader(secure)
	head, err := readHead(r)
	if err != nil {
		return
	}
	v := visitor{hello: hello, head: head}
	s.visitors <- v
	io.WriteString(secure, s.answer(v))
	if v.asks() {
		secure.Write([]byte{0x88, 0}) // the socket's end (RFC 6455, section 5.5.1)
		io.CopyN(io.Discard, r, 6)    // the browser's answer, which waits for the connection's end then
	}
}

// readRecord reads one record of TLS, which a ClientHello fits into.
func readRecord(r io.Reader) ([]byte, error) {
	record := make([]byte, 5)
	if _, err := io.ReadFull(r, record); err != nil {
		return nil, err
	}
	record = append(record, make([]byte, binary.BigEndian.Uint16(record[3:]))...)
	_, err := io.ReadFull(r, record[5:])
	return record, err
}

// readHead reads a request's head, of which it returns all but the empty line.
func readHead(r *bufio.Reader) (string, error) {
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == "\r\n" {
			return head.String(), err
		}
		head.WriteString(line)
	}
}

// answer is what a request gets.
func (s *site) answer(v visitor) string {
	switch {
	case v.asks():
		return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptOf(v.head) + "\r\n\r\n"
	case strings.HasPrefix(v.head, "GET / "):
		page := s.page()
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nSet-Cookie: session=s; Secure; HttpOnly\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(page), page)
	}
	return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
}

func (s *site) page() string { return fmt.Sprintf(sitePage, s.sockets) }

const sitePage = `<!doctype html><title>Site</title><link rel="icon" href="data:,"><script>
let left = %d
function next() {
	if (left-- > 0) new WebSocket("wss://" + location.host + "/socket").onclose = next
}
next()
</script>`

// acceptOf answers the key of an upgrade (RFC 6455, section 4.2.2).
func acceptOf(head string) string {
	for line := range strings.Lines(head) {
		if name, key, _ := strings.Cut(strings.TrimSpace(line), ": "); strings.EqualFold(name, "Sec-WebSocket-Key") {
			sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
			return base64.StdEncoding.EncodeToString(sum[:])
		}
	}
	return ""
}

// replayed is a connection of which the first bytes were read already.
type replayed struct {
	net.Conn
	first *bytes.Reader
}

func (c *replayed) Read(b []byte) (int, error) {
	if c.first.Len() > 0 {
		return c.first.Read(b)
	}
	return c.Conn.Read(b)
}
