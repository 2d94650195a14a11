package main

import (
	"context"
	"io"
	"net"
	"sync/atomic"
)

// farEnd is what relays lead to. The first byte of a connection says what it is for.
type farEnd struct {
	ln   net.Listener
	skip int          // bytes before the first one
	got  atomic.Int64 // bytes that all connections of toSink have brought
}

const (
	toEcho   = 'e' // says everything again
	toSink   = 'k' // reads
	toSource = 's' // writes without end
)

func newFarEnd(ctx context.Context) (*farEnd, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &farEnd{ln: ln}
	context.AfterFunc(ctx, func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go f.serve(c)
		}
	}()
	return f, nil
}

func (f *farEnd) at() string { return f.ln.Addr().String() }

func (f *farEnd) serve(c net.Conn) {
	defer c.Close()
	what := make([]byte, f.skip+1)
	if _, err := io.ReadFull(c, what); err != nil {
		return
	}
	switch what[f.skip] {
	case toEcho:
		echo(c)
	case toSink:
		count(c, &f.got)
	case toSource:
		fill(c)
	}
}

// count reads until the end.
func count(c net.Conn, got *atomic.Int64) {
	b := make([]byte, 256<<10)
	for {
		n, err := c.Read(b)
		got.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// fill writes until it fails.
func fill(c net.Conn) {
	b := make([]byte, 256<<10)
	for {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}
