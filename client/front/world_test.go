package front

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"culvert/internal/link"
)

// open opens f, where enter is to read a greeting.
func open(t *testing.T, d *Dialer, f link.Front) error {
	t.Helper()
	_, err := openWay(t, d, f)
	return err
}

func openWay(t *testing.T, d *Dialer, f link.Front) (Way, error) {
	t.Helper()
	c, way, err := Open(t.Context(), d, f, readGreeting)
	if err == nil {
		c.Close()
	}
	return way, err
}

// errRefused is what a front says that lets nobody in.
var errRefused = errors.New("refused")

// readGreeting is the last step to the fronts of these tests.
func readGreeting(ctx context.Context, c *Conn) (*Conn, error) {
	stop := context.AfterFunc(ctx, func() { c.NetConn().Close() })
	defer stop()
	b := make([]byte, 2)
	_, err := io.ReadFull(c, b)
	switch {
	case err != nil && ctx.Err() != nil:
		err = Failed(StepUpgrade, ctx.Err())
	case err != nil:
		err = Failed(StepUpgrade, err)
	case string(b) != "hi":
		err = errRefused
	default:
		return c, nil
	}
	c.Close()
	return nil, err
}

// worldCertificate is that of all sites of a fakeNet.
var worldCertificate = sync.OnceValue(func() tls.Certificate {
	_, cert := issuer{}.issue(new(testing.T), forNames("front.example"))
	return cert
})

// pinnedTo is a front at a site of a fakeNet.
func pinnedTo(host string, dial ...string) link.Front {
	return link.Front{Host: host, Dial: dial, Pins: []link.Pin{link.PinOf(worldCertificate().Leaf)}}
}

// site is how an address answers that connects.
type site struct {
	takes time.Duration // to connect
	does  behaviour
}

type behaviour int

const (
	greets        behaviour = iota
	isSilent                // after connecting
	resets                  // after the ClientHello
	resetsLarge             // after a ClientHello that takes two packets
	isSilentInTLS           // after the handshake
	cutsInTLS               // after the handshake
	isAnother               // has another certificate
	cutsECH                 // after a ClientHello that shows the public name of ECH
	refuses                 // is a website
)

// fakeNet is a network in which an address answers, refuses or is silent.
type fakeNet struct {
	names map[string][]string
	alive map[string]site
	dead  map[string]bool // refuses

	resolvers map[string]*fakeResolver // by address

	mu     sync.Mutex // guards the following
	dialed []string
	hellos []int    // sizes of the ClientHellos that came
	seen   []string // names in them

	keys []tls.EncryptedClientHelloKey // that sites have
	cert *tls.Certificate              // that they have; nil: worldCertificate
}

func (n *fakeNet) dialer() *Dialer {
	return &Dialer{Connect: n.connect, lookup: n.lookup}
}

func (n *fakeNet) clear() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dialed, n.hellos, n.seen = nil, nil, nil
}

func (n *fakeNet) log() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.dialed, " ")
}

// sizes tells the ClientHellos that came: L is one that takes two packets, s another.
func (n *fakeNet) sizes() (all string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, size := range n.hellos {
		if size > onePacket {
			all += "L"
		} else {
			all += "s"
		}
	}
	return all
}

func (n *fakeNet) lookup(ctx context.Context, _, host string) (addrs []netip.Addr, err error) {
	for _, a := range n.names[host] {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	if addrs == nil && strings.HasPrefix(host, "hung.") {
		<-ctx.Done()
		err = ctx.Err()
	} else if addrs == nil {
		err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, err
}

func (n *fakeNet) connect(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dialed = append(n.dialed, address)
	n.mu.Unlock()
	if n.dead[address] {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	if r := n.resolvers[address]; r != nil {
		near, far := pipe()
		r.serve(far)
		return near, nil
	}
	s, ok := n.alive[address]
	wait := time.NewTimer(s.takes)
	defer wait.Stop()
	if !ok {
		wait.Stop()
	}
	select {
	case <-wait.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	near, far := pipe()
	go n.serve(s.does, far)
	return near, nil
}

// onePacket is what a TCP packet carries, as a rule.
const onePacket = 1400

// serve is a site, and what is in between.
func (n *fakeNet) serve(does behaviour, c net.Conn) {
	defer c.Close()
	hello, err := readHello(c)
	if err != nil {
		return
	}
	n.mu.Lock()
	n.hellos = append(n.hellos, len(hello))
	for _, name := range []string{"front.example", "public.example"} {
		if bytes.Contains(hello, []byte(name)) {
			n.seen = append(n.seen, name)
		}
	}
	keys, cert := n.keys, worldCertificate()
	if n.cert != nil {
		cert = *n.cert
	}
	n.mu.Unlock()
	switch {
	case does == isSilent:
		io.Copy(io.Discard, c)
	case does == cutsECH && bytes.Contains(hello, []byte("public.example")), does == resets, does == resetsLarge && len(hello) > onePacket:
	default:
		greet(does, &replayed{c, hello}, cert, keys)
	}
}

// readHello reads the record of a ClientHello.
func readHello(c net.Conn) ([]byte, error) {
	hello := make([]byte, 5)
	if _, err := io.ReadFull(c, hello); err != nil {
		return nil, err
	}
	hello = append(hello, make([]byte, binary.BigEndian.Uint16(hello[3:]))...)
	_, err := io.ReadFull(c, hello[5:])
	return hello, err
}

func greet(does behaviour, raw net.Conn, cert tls.Certificate, keys []tls.EncryptedClientHelloKey) {
	if does == isAnother {
		_, cert = issuer{}.issue(new(testing.T), forNames("front.example"))
	}
	c := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{cert}, EncryptedClientHelloKeys: keys})
	if c.Handshake() != nil {
		return
	}
	switch does {
	case isSilentInTLS:
		io.Copy(io.Discard, c)
	case cutsInTLS:
	case refuses:
		io.WriteString(c, "no")
	default:
		io.WriteString(c, "hi")
	}
}

// replayed is a connection of which the first bytes were read already.
type replayed struct {
	net.Conn
	first []byte
}

func (c *replayed) Read(b []byte) (int, error) {
	if len(c.first) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.first)
	c.first = c.first[n:]
	return n, nil
}
