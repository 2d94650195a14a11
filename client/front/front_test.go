package front

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/dial"
	"culvert/internal/link"
)

func TestDialFrontTriesAllAddressesAndRemembersTheGoodOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNet{
			names: map[string][]string{"a.example": {"2001:db8::1", "2001:db8::2", "192.0.2.1"}},
			dead:  map[string]bool{"[2001:db8::1]:443": true},
			alive: map[string]site{"192.0.2.1:443": {takes: 10 * time.Millisecond}},
		}
		d, start := n.dialer(), time.Now()
		f := pinnedTo("front.example", "missing.example:443", "a.example:443")
		if err := open(t, d, f); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(start); got != 10*time.Millisecond {
			t.Errorf("took %v, want no wait after a refusal", got)
		}
		n.clear()
		if err := open(t, d, f); err != nil {
			t.Fatal(err)
		}
		if got := n.log(); got != "192.0.2.1:443" {
			t.Errorf("the second time it dialed %s, want the good address alone", got)
		}
	})
}

// A front may list eight hosts of eight addresses each. Those that are blocked, and so
// silent, must not keep the one that lives from its turn.
func TestBlockedHostsOfManyAddressesDoNotKeepTheNextFromItsTurn(t *testing.T) {
	t.Parallel()
	for _, hosts := range []int{2, 8} {
		t.Run(fmt.Sprintf("%d hosts", hosts), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &fakeNet{names: map[string][]string{}, alive: map[string]site{"192.0.2.1:443": {takes: time.Millisecond}}}
				f := pinnedTo("front.example")
				for h := range hosts - 1 {
					name := fmt.Sprintf("blocked%d.example", h)
					for a := range 4 {
						n.names[name] = append(n.names[name], fmt.Sprintf("2001:db8:%d::%d", h, a+1), fmt.Sprintf("198.51.100.%d", 4*h+a))
					}
					f.Dial = append(f.Dial, name+":443")
				}
				n.names["lives.example"] = []string{"192.0.2.1"}
				f.Dial = append(f.Dial, "lives.example:443")
				start := time.Now()
				if err := open(t, n.dialer(), f); err != nil {
					t.Fatal(err)
				}
				if got, most := time.Since(start), time.Duration(2*hosts)*dial.Stagger; got > most {
					t.Errorf("took %v, want at most %v", got, most)
				}
			})
		})
	}
}

func TestDialFrontGivesUpOnSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, start := &fakeNet{}, time.Now()
		err := open(t, n.dialer(), link.Front{Host: "f.example", Dial: []string{"192.0.2.1:443", "192.0.2.2:443"}})
		checkError(t, "silent addresses", err, "connect: no answer in time")
		if got := time.Since(start); got != stepTimeout+dial.Stagger {
			t.Errorf("gave up after %v, want %v", got, stepTimeout+dial.Stagger)
		}
	})
}

func TestDialFrontGivesUpOnASilentHandshake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		go io.Copy(io.Discard, theirs)
		d := &Dialer{Connect: func(context.Context, string, string) (net.Conn, error) { return ours, nil }}
		start := time.Now()
		err := open(t, d, link.Front{Host: "192.0.2.1"})
		checkError(t, "a silent server", err, "TLS: no answer in time")
		if got := time.Since(start); got != handshakeTimeout {
			t.Errorf("gave up after %v, want %v", got, handshakeTimeout)
		}
		if _, err := ours.Write([]byte{1}); err == nil {
			t.Error("the connection is still open")
		}
	})
}

func TestFrontErrorsSayTheStepAndWhatToTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNet{dead: map[string]bool{"192.0.2.1:443": true}}
		for host, want := range map[string]string{
			"missing.example": "connect: the name is not known here; try another network",
			"192.0.2.1":       "connect: connection refused; try another front",
		} {
			err := open(t, n.dialer(), link.Front{Host: host})
			checkError(t, host, err, want)
			if strings.Contains(err.Error(), host) {
				t.Errorf("got %v, want no host in it", err)
			}
		}
		plain := &Dialer{Connect: func(context.Context, string, string) (net.Conn, error) {
			return &plainConn{script: strings.NewReader("HTTP/1.1 400 Bad Request\r\n\r\n")}, nil
		}}
		err := open(t, plain, link.Front{Host: "192.0.2.1"})
		checkError(t, "no TLS", err, "does not speak TLS")
	})
}

// A censor's answer for one family must not hide what is wrong with the other.
func TestAFamilyWithoutAddressesIsNoFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNet{names: map[string][]string{"a.example": {"192.0.2.1"}}, dead: map[string]bool{"192.0.2.1:443": true}}
		d := n.dialer()
		d.lookup = func(ctx context.Context, network, host string) ([]netip.Addr, error) {
			if network == "ip6" {
				return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
			}
			return n.lookup(ctx, network, host)
		}
		err := open(t, d, link.Front{Host: "a.example"})
		if want := "connect: connection refused; try another front or network"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}

func TestAGoodAddressThatItsNameLostIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNet{
			names: map[string][]string{"a.example": {"192.0.2.1"}},
			alive: map[string]site{"192.0.2.1:443": {}, "192.0.2.2:443": {}},
		}
		d := n.dialer()
		for _, address := range []string{"192.0.2.1", "192.0.2.2"} {
			n.names["a.example"] = []string{address}
			n.clear()
			if err := open(t, d, pinnedTo("a.example")); err != nil {
				t.Fatal(err)
			}
			if got := n.log(); got != address+":443" {
				t.Errorf("dialed %s, want %s alone", got, address)
			}
		}
	})
}

// idleConn is a connection that nobody uses.
type idleConn struct{ net.Conn }

func (idleConn) Close() error { return nil }

// plainConn is a connection whose other end says script, whatever it is told.
type plainConn struct {
	idleConn
	script io.Reader
}

func (c *plainConn) Read(b []byte) (int, error)  { return c.script.Read(b) }
func (c *plainConn) RemoteAddr() net.Addr        { return &net.TCPAddr{} }
func (c *plainConn) Write(b []byte) (int, error) { return len(b), nil }

// What a person is shown of an upgrade that was cut names neither end.
func TestAnUpgradeThatIsCutNamesNoAddress(t *testing.T) {
	t.Parallel()
	near := &net.TCPAddr{IP: net.IPv4(192, 168, 1, 23), Port: 50412}
	far := &net.TCPAddr{IP: net.IPv4(203, 0, 113, 9), Port: 443}
	cut := &net.OpError{Op: "read", Net: "tcp", Source: near, Addr: far, Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	for _, err := range []error{cut, errors.New("bytes from 203.0.113.9")} {
		err := Failed(StepUpgrade, fmt.Errorf("upgrade: Get %q: %w", "http://cdn.example/path", err))
		for _, secret := range []string{"192.168", "203.0", "cdn.example", "/path"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("got %q, want it without %q", err, secret)
			}
		}
	}
}
