package e2e

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"
)

// untilReplaced downloads for longer than TLS may seal alone, and returns how many connections came after the first minutes.
func untilReplaced(t *testing.T, w *world, to string) int64 {
	t.Helper()
	f := w.forward(to)
	f.delay.Store(int64(5 * time.Millisecond))
	f.rate.Store(64 << 10)
	n := w.client(1, f.addr()).ready()
	d := n.download(7, 30<<20)
	<-time.After(2 * time.Minute)
	before := f.dials.Load()
	if err := d.rest(20 * time.Minute); err != nil {
		t.Error(err)
	}
	return f.dials.Load() - before
}

// What TLS alone has sealed is given up in time, and the stream does not notice.
func TestABareCarrierIsReplacedWhileItsStreamGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		if n := untilReplaced(t, w, w.origin().addr); n < 1 || n > 2 {
			t.Errorf("got %d more connections in eight minutes, want one or two", n)
		}
	})
}

// between ends TLS, and passes all that is in it on to the origin at addr, and back.
func (w *world) between(addr string) string {
	return w.relay(addr, func(far net.Conn) net.Conn {
		return tls.Client(far, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	})
}

// unwrapped does so to an origin that serves no TLS.
func (w *world) unwrapped(addr string) string {
	return w.relay(addr, func(far net.Conn) net.Conn { return far })
}

func (w *world) relay(addr string, wrap func(net.Conn) net.Conn) string {
	ln := tls.NewListener(w.net.listen(w), serverTLS(certificate()))
	w.Cleanup(func() { ln.Close() })
	pass := func(to, from net.Conn) {
		io.Copy(to, from)
		to.Close()
	}
	go func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := w.net.dial(w.Context(), "tcp", addr)
			if err != nil {
				near.Close()
				continue
			}
			far = wrap(far)
			go pass(near, far)
			go pass(far, near)
		}
	}()
	return ln.Addr().String()
}

func TestNothingIsBareThroughAnEdge(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		if n := untilReplaced(t, w, w.between(w.origin().addr)); n != 0 {
			t.Errorf("got %d more connections, want none: no carrier may be bare", n)
		}
	})
}

func TestNothingIsBareWithoutTLSAtTheOrigin(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		if n := untilReplaced(t, w, w.unwrapped(w.originOn(false).addr)); n != 0 {
			t.Errorf("got %d more connections, want none: no carrier may be bare", n)
		}
	})
}
