//go:build linux

package network

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

var first, second = netip.MustParseAddr("10.77.1.1"), netip.MustParseAddr("10.77.1.2")

// newPath is a path with a server that serves each connection by serve.
func newPath(t *testing.T, r Rules, serve func(net.Conn)) *Path {
	t.Helper()
	if os.Getenv("CULVERT_REAL") == "" || os.Getuid() != 0 {
		t.Skip("root alone makes network namespaces, and with CULVERT_REAL=1: .ci/censor")
	}
	p, err := NewPath(r, first, second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	l, err := p.Server.Listen("0.0.0.0:443")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); serve(c) }()
		}
	}()
	return p
}

// measures skips a test of times and rates, which other work on the machine spoils.
func measures(t *testing.T) {
	t.Helper()
	if os.Getenv("CULVERT_LONG") == "" {
		t.Skip("it wants a machine to itself: make censor runs it")
	}
}

func dial(t *testing.T, p *Path, to netip.Addr) net.Conn {
	t.Helper()
	c, err := p.Client.Dial(netip.AddrPortFrom(to, 443).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

func echo(c net.Conn) { io.Copy(c, c) }

// source sends for ever, and does not read.
func source(c net.Conn) {
	for b := make([]byte, 16<<10); ; {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

func near(t *testing.T, what string, got, want, by float64) {
	t.Helper()
	if math.Abs(got-want) > want*by {
		t.Errorf("%s: got %.4g, want %.4g within %.0f %%", what, got, want, by*100)
	}
}

// What other programs of the machine hold up comes late: the least counts.
func TestAPacketTakesTheDelayEachWay(t *testing.T) {
	measures(t)
	t.Parallel()
	const trip = 150 * time.Millisecond
	p := newPath(t, Rules{Delay: trip / 2}, echo)
	connect, answer := time.Hour, time.Hour
	for range 5 {
		began := time.Now()
		c := dial(t, p, first)
		connect = min(connect, time.Since(began))
		for range 5 {
			began = time.Now()
			io.WriteString(c, "x")
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			answer = min(answer, time.Since(began))
		}
	}
	near(t, "connect in s", connect.Seconds(), trip.Seconds(), .05)
	near(t, "answer in s", answer.Seconds(), trip.Seconds(), .05)
}

// The best of some seconds counts: the kernel's TCP needs some to settle, and other
// programs of the machine take their share.
func TestABottleneckPassesItsRateAndNoMore(t *testing.T) {
	measures(t)
	t.Parallel()
	for name, bits := range map[string]int{"1 Mbit/s": 1_000_000, "20 Mbit/s": 20_000_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPath(t, Rules{Delay: 25 * time.Millisecond, Down: Rate{bits, time.Second}}, source)
			conn := dial(t, p, first)
			read(conn, time.Second)
			want, best := float64(bits)*1448/1500, 0.
			for range 4 {
				n, took := read(conn, 2*time.Second)
				if got := float64(n) * 8 / took.Seconds(); math.Abs(got-want) < math.Abs(best-want) {
					best = got
				}
			}
			near(t, "payload in bit/s", best, want, .05)
		})
	}
}

// read counts what comes in about a time, from one byte that comes to another.
func read(c net.Conn, d time.Duration) (n int64, took time.Duration) {
	began, b := time.Now(), make([]byte, 64<<10)
	for time.Since(began) < d {
		k, err := c.Read(b)
		n += int64(k)
		if err != nil {
			break
		}
	}
	return n, time.Since(began)
}

func TestAQueueThatOneFillsDelaysOthers(t *testing.T) {
	measures(t)
	t.Parallel()
	p := newPath(t, Rules{Up: Rate{1_000_000, time.Second}, Delay: 10 * time.Millisecond}, func(c net.Conn) { io.Copy(io.Discard, c) })
	conn := dial(t, p, first)
	go source(conn)
	time.Sleep(2 * time.Second)
	var least, most time.Duration = time.Hour, 0
	for range 5 { // a handshake's first packet waits behind all that has been sent; one that is dropped takes a second more
		began := time.Now()
		dial(t, p, second).Close()
		least, most = min(least, time.Since(began)), max(most, time.Since(began))
	}
	if most < 200*time.Millisecond || least > 1100*time.Millisecond {
		t.Errorf("got trips of %v to %v behind a queue of 1 s, want a part of it", least, most)
	}
}

func TestAConnectionFreezesAtTheByte(t *testing.T) {
	t.Parallel()
	const limit = 15_000
	p := newPath(t, Rules{Delay: 20 * time.Millisecond, Freeze: []Freeze{{Address: first, Bytes: limit}}}, source)
	c := dial(t, p, first)
	c.SetDeadline(time.Now().Add(2 * time.Second))
	n, err := io.Copy(io.Discard, c)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want silence", err)
	}
	near(t, "bytes before the freeze", float64(n), limit-700, .05) // the packet that would exceed it is dropped whole
	if n > limit {
		t.Errorf("got %d bytes, want %d at most", n, limit)
	}
	if got, err := io.ReadFull(dial(t, p, second), make([]byte, 20*limit)); err != nil {
		t.Errorf("got %d bytes and %v from another address, want no freeze", got, err)
	}
	flows := p.Flows()
	if len(flows) != 2 || flows[0].Fate != Frozen || flows[0].Down.Payload != n || flows[1].Fate != Passed {
		t.Errorf("got %+v, want one frozen and one free", flows)
	}
}

// shake begins TLS with a name, and gives what comes back.
func shake(t *testing.T, c net.Conn, name string) error {
	c.SetDeadline(time.Now().Add(time.Second))
	return tls.Client(c, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
}

func TestAHelloIsDroppedOrResetByItsNameAndSize(t *testing.T) {
	t.Parallel()
	p := newPath(t, Rules{Delay: 10 * time.Millisecond, Hello: []Hello{
		{Name: "dropped.example"}, {Name: "reset.example", Reset: true}, {Address: second, Longer: 1000, Reset: true},
	}}, func(c net.Conn) { io.CopyN(io.Discard, c, 200); io.WriteString(c, "no TLS here") })
	for _, q := range []struct {
		name string
		to   netip.Addr
		want func(error) bool
	}{
		{"dropped.example", first, func(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }},
		{"reset.example", first, func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
		{"free.example", first, func(err error) bool {
			return err != nil && strings.Contains(err.Error(), "first record does not look like")
		}},
		{"large.example", second, func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
	} {
		if err := shake(t, dial(t, p, q.to), q.name); !q.want(err) {
			t.Errorf("%s: got %v", q.name, err)
		}
		flows := p.Flows()
		if f := flows[len(flows)-1]; f.Name != q.name || f.HelloSize < 1000 {
			t.Errorf("%s: got name %q and size %d in the hello", q.name, f.Name, f.HelloSize)
		}
	}
}

func TestOnlySoManyConnectionsAMinuteAreLetIn(t *testing.T) {
	t.Parallel()
	p := newPath(t, Rules{Delay: time.Millisecond, Connect: []Connect{{Address: first, PerMinute: 4}}}, echo)
	for range 4 {
		dial(t, p, first)
	}
	late := make(chan net.Conn, 1)
	go func() { c, _ := p.Client.Dial(first.String() + ":443"); late <- c }()
	select {
	case <-late:
		t.Error("got a fifth connection, want silence")
	case <-time.After(2500 * time.Millisecond): // it has been asked for three times
	}
	dial(t, p, second)
	if f := p.Flows()[4]; f.Fate != Refused {
		t.Errorf("got %+v, want the fifth refused", f)
	}
}

func TestADeadAddressIsSilentFromThenOn(t *testing.T) {
	t.Parallel()
	p := newPath(t, Rules{}, echo)
	c, other := dial(t, p, first), dial(t, p, second)
	p.Change(func(r *Rules) { r.Dead = []netip.Addr{first} })
	c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	for _, c := range []net.Conn{c, other} {
		io.WriteString(c, "x")
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want silence", err)
	}
	if _, err := other.Read(make([]byte, 1)); err != nil {
		t.Errorf("got %v from a living address, want an answer", err)
	}
}

func TestAConnectionIsResetAfterItsUpgradeAndNotBefore(t *testing.T) {
	measures(t)
	t.Parallel()
	hello := append([]byte{22, 3, 1, 1, 0}, make([]byte, 256)...)
	p := newPath(t, Rules{Delay: 10 * time.Millisecond, Upgrade: []Upgrade{{After: 50 * time.Millisecond}}}, echo)
	c := dial(t, p, first)
	say := func(b []byte) error {
		c.Write(b)
		_, err := io.ReadFull(c, make([]byte, len(b)))
		return err
	}
	if err := say(hello); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	if err := say(bytes.Repeat([]byte{23}, 80)); err != nil {
		t.Errorf("got %v before the upgrade, want an answer", err)
	}
	began := time.Now()
	if err := say(make([]byte, 300)); err != nil {
		t.Errorf("got %v for the upgrade, want an answer", err)
	}
	_, err := c.Read(make([]byte, 1))
	if took := time.Since(began); !errors.Is(err, syscall.ECONNRESET) || took > 200*time.Millisecond {
		t.Errorf("got %v after %v, want a reset at once", err, took)
	}
}

func TestARestingConnectionLapses(t *testing.T) {
	t.Parallel()
	p := newPath(t, Rules{Forget: 300 * time.Millisecond}, echo)
	c := dial(t, p, first)
	time.Sleep(500 * time.Millisecond)
	c.SetDeadline(time.Now().Add(500 * time.Millisecond))
	io.WriteString(c, "x")
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want silence", err)
	}
}

func TestAboutTheShareOfPacketsIsLost(t *testing.T) {
	t.Parallel()
	p := newPath(t, Rules{Loss: .02, Delay: time.Millisecond}, echo)
	c := dial(t, p, first)
	want := bytes.Repeat([]byte("0123456789"), 100_000)
	go c.Write(want)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %v, want every byte in spite of the loss", err)
	}
}
