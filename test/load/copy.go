package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"net"
	"time"
)

// runCopy is a relay without a protocol: what comes as TCP goes on as TLS, or, with a certificate, the other way round,
// a connection for each. Two of them are what a tunnel costs whose framing, sealing and sharing are free.
func runCopy(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("load copy", flag.ContinueOnError)
	listen := f.String("listen", "", "loopback `ADDR` to listen at")
	to := f.String("dial", "", "loopback `ADDR` to connect to")
	cert := f.String("cert", "", "`FILE` with the certificate of the end that takes TLS; the other end has none")
	key := f.String("key", "", "`FILE` with its key")
	if err := f.Parse(args); err != nil {
		return err
	}
	if err := errors.Join(loopback(*listen), loopback(*to)); err != nil {
		return err
	}
	wrap := copier{dial: *to, client: &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(64)}} // loopback alone
	if *cert != "" {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			return err
		}
		wrap.server = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { ln.Close() })
	for {
		c, err := ln.Accept()
		if err != nil {
			return nil
		}
		go wrap.serve(c)
	}
}

// copier is one end of it.
type copier struct {
	dial           string
	server, client *tls.Config // server: nil at the end that dials by TLS
}

func (c copier) serve(near net.Conn) {
	defer near.Close()
	far, err := net.DialTimeout("tcp", c.dial, 10*time.Second)
	if err != nil {
		return
	}
	defer far.Close()
	if c.server != nil {
		near = tls.Server(near, c.server)
	} else {
		far = tls.Client(far, c.client)
	}
	done := make(chan struct{})
	go func() { defer close(done); pump(far, near) }()
	pump(near, far)
	<-done
}

// pump copies until either side ends. An end is passed on as a half-close, a failure as the end of both.
func pump(dst, src net.Conn) {
	b := make([]byte, 32<<10)
	for {
		n, err := src.Read(b)
		if n > 0 {
			if _, err := dst.Write(b[:n]); err != nil {
				src.Close()
				return
			}
		}
		if err != nil {
			if c, ok := dst.(interface{ CloseWrite() error }); ok {
				c.CloseWrite()
			}
			return
		}
	}
}
