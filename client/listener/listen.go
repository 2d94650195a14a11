// Package listener takes the connections of WhatsApp's app, finds out by their
// first bytes what they are, and hands them on to whoever carries them.
package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"culvert/internal/dial"
	"culvert/internal/netpoll"
	"culvert/internal/share"
	"culvert/internal/wire"
)

// Ports that need no privileges: the app's own for chat, and the official
// proxy's second one for media. Every listener serves every service.
const (
	DefaultChatPort  = 5222
	DefaultMediaPort = 7777
)

const (
	// maxUnknown bounds the connections of one listener that have not yet said
	// what they are; together they hold at most maxUnknown × maxHello bytes.
	maxUnknown = 1024

	// unknownLimit ends a client that opens and never sends, unknownPatience is
	// what it has when others wait for its place. The app sends at once.
	unknownLimit    = time.Minute
	unknownPatience = time.Second

	// rawWait is how long a raw connection may take to send the bytes that ride
	// in the opening frame.
	rawWait = 20 * time.Millisecond
)

// Carry takes over a connection of the app, which it owns from then on; first
// are bytes already read from it, at most wire.MaxEarly, and belong to Carry
// too. conn is what the listener accepted, a *net.TCPConn as a rule, or a
// *ChatConn. Carry is called in a goroutine of its own, for which Serve waits, so
// it must return soon after Serve's context has ended; client.Client's returns at
// once.
type Carry func(conn net.Conn, s wire.Service, first []byte)

// Listener takes the app's connections and finds out what they are. Its fields
// are not changed once Serve was called.
type Listener struct {
	Carry Carry        // required
	Log   *slog.Logger // nil: slog.Default()

	// Host is what the app was told to dial, if that is no address of the listener: browsers that
	// ask for it see the page, too.
	Host string

	// Page is what browsers are shown that a person has led here; nil: nothing.
	Page Page

	// Raw takes every connection for chat from its first byte on, also one that
	// sends nothing: for odd clients and benchmarks.
	Raw bool

	// Web takes browsers and other programs, by SOCKS5 and HTTP CONNECT, for WhatsApp's names
	// alone, and no app. Script is the path, which begins with a slash and is hard to guess, of the
	// script that configures browsers; empty: there is none.
	Web    bool
	Script string

	// ProxyHeader demands a PROXY header, version 1 or 2, before everything
	// else, as a load balancer in front of this listener sends it. A listener
	// with it serves nobody who sends none. The connections that Carry gets have
	// the addresses that it says.
	ProxyHeader bool

	// Certificate is shown to apps that use TLS for chat. nil: Serve makes one.
	Certificate *tls.Certificate
}

// Listen opens a listener for apps at address, host:port. Connections from
// other machines are probed every few minutes, so that phones which left are
// noticed and those which stay can sleep.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1}
	if host, err := netip.ParseAddrPort(address); err != nil || !host.Addr().IsLoopback() {
		lc.KeepAlive = 0
		lc.KeepAliveConfig = net.KeepAliveConfig{Enable: true, Idle: 4 * time.Minute, Interval: 30 * time.Second, Count: 4}
	}
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, newListenError(address, err)
	}
	return ln, nil
}

// ErrAddress is an address that nobody can listen at. Its text says how one is written.
var ErrAddress = errors.New("an address is HOST:PORT or :PORT, as 127.0.0.1:5222; the port is a number up to 65535, and an IPv6 address stands in brackets")

// Check returns ErrAddress unless address is one for Listen. Whether it is this machine's, it does not ask.
func Check(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return ErrAddress
	}
	_, isName := wire.HostName(host)
	_, notIP := netip.ParseAddr(host)
	if _, err := net.LookupPort("tcp", port); err != nil || host != "" && notIP != nil && !isName {
		return ErrAddress
	}
	return nil
}

// IsElsewhere reports whether Listen failed because the address is not this machine's.
func IsElsewhere(err error) bool {
	return errors.As(err, new(*net.DNSError)) || dial.IsErrno(err, syscall.EADDRNOTAVAIL)
}

// listenError says what to try where an address cannot be had, and nothing of whom the system asked for its name.
type listenError struct {
	address, advice string
	cause           error
}

func (e listenError) Error() string { return e.address + ": " + e.advice }
func (e listenError) Unwrap() error { return e.cause }

func newListenError(address string, err error) error {
	switch {
	case dial.IsErrno(err, syscall.EADDRINUSE):
		return listenError{address, "the port is taken, choose another", err}
	case IsElsewhere(err):
		return listenError{address, "this machine has no such address", err}
	case dial.IsErrno(err, syscall.EACCES): // below 1024 on Unix; what Hyper-V keeps for itself on Windows
		return listenError{address, "the system keeps this port, choose one above 1024 or another", err}
	}
	return fmt.Errorf("listen: %w", err)
}

// Address is where a listener with port belongs: on loopback, or on all
// addresses for the phones of a local network.
func Address(lan bool, port int) string {
	host := "127.0.0.1"
	if lan {
		host = ""
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// Serve accepts connections from ln until ctx ends, when it returns nil, or
// until accepting fails for good. It closes ln and whatever did not get as far
// as Carry. No goroutine is left when it returns.
func (l *Listener) Serve(ctx context.Context, ln net.Listener) error {
	defer ln.Close()
	r, err := newReception(l)
	if err != nil {
		return err
	}
	defer r.close()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	err = r.acceptAll(ctx, ln)
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("accept: %w", err)
}

// reception is one call of Serve.
type reception struct {
	Listener
	tls     *tls.Config
	queue   *acceptQueue
	scarce  func() bool              // open files are
	said    time.Time                // when a line was last logged of that
	rates   *share.Rates[netip.Addr] // of other machines
	buffers sync.Pool                // of *[]byte, for the first read
	group   sync.WaitGroup           // of all that was accepted
}

func newReception(l *Listener) (*reception, error) {
	r := &reception{Listener: *l, queue: newAcceptQueue(maxUnknown, unknownLimit, unknownPatience), rates: share.NewRates[netip.Addr](guestRate, guestBurst)}
	r.scarce = netpoll.Scarce
	if r.Log == nil {
		r.Log = slog.Default()
	}
	size := 512
	if r.Raw {
		size = 4 << 10
	}
	r.buffers.New = func() any { return new(make([]byte, 0, size)) }
	if !r.Raw && !r.Web && r.Certificate == nil {
		made, err := NewChatCertificate(time.Now())
		if err != nil {
			return nil, err
		}
		r.Certificate = made
	}
	if r.Certificate != nil {
		r.tls = chatTLSConfig(r.Certificate)
	}
	return r, nil
}

func (r *reception) close() {
	r.queue.closeAll()
	r.group.Wait()
}

// acceptAll returns the error that ends accepting.
func (r *reception) acceptAll(ctx context.Context, ln net.Listener) error {
	pause := newAcceptBackoff()
	for {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			pause = newAcceptBackoff()
			if !r.mayCome(conn) || !r.hasFile(conn) {
				continue
			}
			if u := r.queue.add(ctx, conn); u != nil {
				r.group.Go(func() { r.receive(u) })
			}
		case !passes(err):
			return err
		default:
			r.sayScarce(errnoOf(err))
			r.queue.makeRoom()
			dial.Sleep(ctx, pause.Pause())
		}
	}
}

// guestRate, a second, and guestBurst bound how often one other machine may come, so that
// what it begins does not keep the carrier from chat. A phone begins a few connections a minute.
const (
	guestRate  = 20
	guestBurst = 200
)

// mayCome closes what comes too often from another machine. All come from a load balancer where there is one.
func (r *reception) mayCome(c net.Conn) bool {
	from, ok := share.Machine(c)
	if ok = !ok || r.ProxyHeader || r.rates.Allow(from, time.Now()); !ok {
		c.Close()
	}
	return ok
}

// hasFile closes a connection that comes while no more open files are left than the client needs for its carriers,
// and what has said nothing yet for long.
func (r *reception) hasFile(c net.Conn) bool {
	if !r.scarce() {
		return true
	}
	r.sayScarce("the last are kept for what is going on")
	r.queue.makeRoom()
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0) // the app learns at once that it has to try again
	}
	c.Close()
	return false
}

// sayEvery is how often at most the log says that open files are scarce.
const sayEvery = time.Minute

func (r *reception) sayScarce(why string) {
	if now := time.Now(); r.said.IsZero() || now.Sub(r.said) >= sayEvery {
		r.said = now
		r.Log.Warn("cannot accept for now; raise the limit of open files", "reason", why)
	}
}

// passing are errors of accept after which the next accept may succeed.
var passing = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
	syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR}

func passes(err error) bool {
	var e net.Error
	return slices.ContainsFunc(passing, func(p syscall.Errno) bool { return dial.IsErrno(err, p) }) || errors.As(err, &e) && e.Timeout()
}

// errnoOf leaves the address out of err.
func errnoOf(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return "temporary error"
}

// newAcceptBackoff is the pause between accepts that fail.
func newAcceptBackoff() dial.Backoff {
	return dial.Backoff{Next: 5 * time.Millisecond, Limit: time.Second}
}
