package front

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"culvert/internal/link"
)

// issuer signs certificates; the zero issuer makes them sign themselves.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate by template, filling in what is dull.
func (ca issuer) issue(t *testing.T, template x509.Certificate) (issuer, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.BasicConstraintsValid = true
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	parent, signer := ca.cert, ca.key
	if parent == nil {
		parent, signer = &template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	chain := [][]byte{der}
	if ca.cert != nil {
		chain = append(chain, ca.cert.Raw)
	}
	return issuer{cert, key}, tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: cert}
}

func newAuthority(t *testing.T) issuer {
	t.Helper()
	ca, _ := issuer{}.issue(t, x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign})
	return ca
}

func forNames(names ...string) x509.Certificate { return x509.Certificate{DNSNames: names} }

// edge is a TLS server that says "hi" to whoever completes a handshake, and
// remembers what it was asked.
type edge struct {
	address string
	hellos  chan tls.ClientHelloInfo
	states  chan tls.ConnectionState
}

func newEdge(t *testing.T, cert tls.Certificate) *edge {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	e := &edge{ln.Addr().String(), make(chan tls.ClientHelloInfo, 9), make(chan tls.ConnectionState, 9)}
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		e.hellos <- *h
		return nil, nil
	}
	go func() {
		for {
			raw, err := ln.Accept()
			if err != nil {
				return
			}
			go e.greet(tls.Server(raw, cfg))
		}
	}()
	return e
}

func (e *edge) greet(c *tls.Conn) {
	defer c.Close()
	if c.Handshake() == nil {
		e.states <- c.ConnectionState()
		io.WriteString(c, "hi")
	}
}

// greeted opens f, whose greeting brings a session ticket, too.
func greeted(t *testing.T, f link.Front, d *Dialer) error {
	t.Helper()
	return open(t, d, f)
}

func trusting(ca issuer) *Dialer {
	d := &Dialer{Roots: x509.NewCertPool()}
	d.Roots.AddCert(ca.cert)
	return d
}

func TestAFrontIsVerifiedByItsName(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	_, good := ca.issue(t, forNames("front.example", "other.example"))
	_, byAddress := ca.issue(t, x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	_, old := ca.issue(t, x509.Certificate{DNSNames: []string{"front.example"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	_, own := issuer{}.issue(t, forNames("front.example"))
	for _, c := range []struct {
		name  string
		cert  tls.Certificate
		front link.Front
		want  string // part of the error; empty: none
	}{
		{"its host's", good, link.Front{Host: "front.example"}, ""},
		{"its host's, with a port", good, link.Front{Host: "front.example:8443"}, ""},
		{"its SNI's", good, link.Front{Host: "hidden.example", SNI: "front.example"}, ""},
		{"another than SNI", good, link.Front{Host: "hidden.example", SNI: "decoy.example", Verify: "other.example"}, ""},
		{"an address", byAddress, link.Front{Host: "127.0.0.1"}, ""},
		{"a wrong name", good, link.Front{Host: "wrong.example"}, "another name"},
		{"an SNI's name that is not verify's", good, link.Front{Host: "front.example", Verify: "wrong.example"}, "another name"},
		{"no SNI and a wrong name", good, link.Front{Host: "wrong.example", NoSNI: true}, "another name"},
		{"a wrong address", byAddress, link.Front{Host: "127.0.0.2"}, "another name"},
		{"an expired certificate", old, link.Front{Host: "front.example"}, "expired"},
		{"a self-signed certificate", own, link.Front{Host: "front.example"}, "nobody trusted"},
	} {
		c.front.Dial = []string{newEdge(t, c.cert).address}
		checkError(t, c.name, greeted(t, c.front, trusting(ca)), c.want)
	}
}

func checkError(t *testing.T, name string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: got %v, want none", name, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: got %v, want %q in it", name, err, want)
	case err != nil && (strings.Contains(err.Error(), "example") || strings.Contains(err.Error(), "127.0.0")):
		t.Errorf("%s: got %v, want no names or addresses", name, err)
	}
}

func TestAFrontIsVerifiedByItsPins(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t), newAuthority(t)
	own, self := issuer{}.issue(t, forNames("unnamed.example"))
	issued, good := ca.issue(t, forNames("front.example"))
	_, old := issuer{}.issue(t, x509.Certificate{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	lasting, _ := issuer{}.issue(t, x509.Certificate{IsCA: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour)})
	_, oldByCA := lasting.issue(t, x509.Certificate{DNSNames: []string{"front.example"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	tomorrow := x509.Certificate{DNSNames: []string{"front.example"}, NotBefore: time.Now().Add(24 * time.Hour), NotAfter: time.Now().Add(25 * time.Hour)}
	_, early := issuer{}.issue(t, tomorrow)
	_, earlyByCA := lasting.issue(t, tomorrow)
	_, forged := stranger.issue(t, forNames("front.example"))
	forged.Certificate[1] = ca.cert.Raw // shows the pinned authority, which did not sign
	_, plain := issuer{cert: issued.cert, key: issued.key}.issue(t, forNames("front.example"))
	for _, c := range []struct {
		name string
		cert tls.Certificate
		host string
		pin  *x509.Certificate
		want string
	}{
		{"a self-signed one, whatever its name", self, "front.example", own.cert, ""},
		{"one that an authority issued", good, "front.example", issued.cert, ""},
		{"an authority", good, "front.example", ca.cert, ""},
		{"another one", self, "unnamed.example", issued.cert, "no pin"},
		{"another authority", good, "front.example", stranger.cert, "no pin"},
		{"an expired one", old, "front.example", old.Leaf, ""},
		{"one that is not valid yet", early, "front.example", early.Leaf, ""},
		{"an authority, of an expired one", oldByCA, "front.example", lasting.cert, ""},
		{"an authority, of one that is not valid yet", earlyByCA, "front.example", lasting.cert, ""},
		{"an authority, of an expired one for another name", oldByCA, "wrong.example", lasting.cert, "another name"},
		{"an authority, for another name", good, "wrong.example", ca.cert, "another name"},
		{"an authority that did not sign", forged, "front.example", ca.cert, "nobody trusted"},
		{"a server that plays authority", plain, "front.example", issued.cert, "nobody trusted"},
	} {
		f := link.Front{Host: c.host, Dial: []string{newEdge(t, c.cert).address}, Pins: []link.Pin{{1}, link.PinOf(c.pin)}}
		checkError(t, c.name, greeted(t, f, &Dialer{Roots: x509.NewCertPool()}), c.want)
	}
}

func TestPinsAreNotReplacedByAPublicAuthority(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	_, cert := ca.issue(t, forNames("front.example"))
	f := link.Front{Host: "front.example", Dial: []string{newEdge(t, cert).address}, Pins: []link.Pin{{1}}}
	checkError(t, "a trusted authority", greeted(t, f, trusting(ca)), "no pin")
}

func TestAFrontSaysOnlyTheNameItIsToSay(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	_, cert := ca.issue(t, x509.Certificate{DNSNames: []string{"front.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	e := newEdge(t, cert)
	for _, c := range []struct {
		name  string
		front link.Front
		want  string
	}{
		{"its host", link.Front{Host: "front.example"}, "front.example"},
		{"its SNI", link.Front{Host: "front.example", SNI: "decoy.example", Verify: "front.example"}, "decoy.example"},
		{"none", link.Front{Host: "front.example", NoSNI: true}, ""},
		{"no address", link.Front{Host: "127.0.0.1"}, ""},
	} {
		c.front.Dial = []string{e.address}
		if err := greeted(t, c.front, trusting(ca)); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		hello, state := <-e.hellos, <-e.states
		if hello.ServerName != c.want {
			t.Errorf("%s: the server saw %q, want %q", c.name, hello.ServerName, c.want)
		}
		if state.NegotiatedProtocol != "http/1.1" || len(hello.SupportedProtos) != 1 {
			t.Errorf("%s: offered %q, got %q; want http/1.1 alone", c.name, hello.SupportedProtos, state.NegotiatedProtocol)
		}
		for _, v := range hello.SupportedVersions {
			if v < tls.VersionTLS12 {
				t.Errorf("%s: offered %s", c.name, tls.VersionName(v))
			}
		}
	}
}

func TestAResumedSessionIsVerifiedAgain(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	_, cert := ca.issue(t, forNames("front.example"))
	e := newEdge(t, cert)
	for name, c := range map[string]struct {
		front   link.Front
		expired string // what is said once the certificate has expired
	}{
		"by name":        {link.Front{Host: "front.example"}, "expired"},
		"by a pin":       {link.Front{Host: "hidden.example", Pins: []link.Pin{link.PinOf(cert.Leaf)}}, ""},
		"without a name": {link.Front{Host: "front.example", NoSNI: true}, "expired"},
	} {
		f := c.front
		f.Dial = []string{e.address}
		d := trusting(ca)
		var later atomic.Int64
		d.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
		for i, resumed := range []bool{false, true} {
			if err := greeted(t, f, d); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if state := <-e.states; state.DidResume != resumed {
				t.Errorf("%s: connection %d: resumed %v, want %v", name, i+1, state.DidResume, resumed)
			}
		}
		later.Store(int64(2 * time.Hour))
		checkError(t, name+", after it expired", greeted(t, f, d), c.expired)
		for len(e.states) > 0 {
			<-e.states
		}
		for len(e.hellos) > 0 {
			<-e.hellos
		}
	}
}

func TestWrapLiesUnderTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	_, cert := ca.issue(t, forNames("front.example"))
	d := trusting(ca)
	var first atomic.Int32
	d.Wrap = func(c net.Conn) net.Conn { return &spyConn{Conn: c, first: &first} }
	if err := greeted(t, link.Front{Host: "front.example", Dial: []string{newEdge(t, cert).address}}, d); err != nil {
		t.Fatal(err)
	}
	if first.Load() != 22 {
		t.Errorf("the first byte was %d, want a TLS record", first.Load())
	}
}

type spyConn struct {
	net.Conn
	first *atomic.Int32
}

func (c *spyConn) Write(b []byte) (int, error) {
	c.first.CompareAndSwap(0, int32(b[0]))
	return c.Conn.Write(b)
}
