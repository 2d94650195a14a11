//go:build unix

package look

import (
	"crypto/tls"
	"net"
	"syscall"
	"testing"
	"time"
)

// What a look costs beside crypto/tls, the server's part included, which is the same. The first handshake of a
// connection, and one that is resumed.
func BenchmarkHandshake(b *testing.B) {
	for _, resumed := range []bool{false, true} {
		kind := map[bool]string{false: "full", true: "resumed"}[resumed]
		b.Run("crypto-tls/"+kind, func(b *testing.B) {
			cfg := &tls.Config{ServerName: "front.example", InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
			if resumed {
				cfg.ClientSessionCache = tls.NewLRUClientSessionCache(4)
			}
			handshakes(b, func(raw net.Conn) (net.Conn, error) {
				c := tls.Client(raw, cfg)
				return c, c.HandshakeContext(b.Context())
			})
		})
		for _, l := range all() {
			b.Run(l.Name()+"/"+kind, func(b *testing.B) {
				cfg := Config{Name: "front.example", Verify: anybody}
				if resumed {
					cfg.Tickets = new(Tickets)
				}
				handshakes(b, func(raw net.Conn) (net.Conn, error) { return l.Handshake(b.Context(), raw, cfg) })
			})
		}
	}
}

// handshakes makes TLS of one connection after another. Each is read once, so that tickets come.
func handshakes(b *testing.B, shake func(net.Conn) (net.Conn, error)) {
	b.Helper()
	server := &tls.Config{Certificates: []tls.Certificate{certificate()}, NextProtos: []string{"http/1.1"}}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				c.Write([]byte{0})
				c.Close()
			}()
		}
	}()
	b.ReportAllocs()
	before := used(b)
	defer func() { b.ReportMetric(float64(used(b)-before)/float64(b.N)/1000, "cpu-µs/op") }()
	for b.Loop() {
		raw, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		c, err := shake(raw)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			b.Fatal(err)
		}
		raw.Close()
	}
}

// used is the processor's time that the process has used, which other processes do not change.
func used(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
