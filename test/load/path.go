package main

import (
	"net"
	"sync"
	"time"
)

// path is what lies between the two ends of a relay: it forwards connections, holds back what passes for half of a round
// trip, and may cut all of them at once.
type path struct {
	ln   net.Listener
	to   string
	trip time.Duration

	mu    sync.Mutex // guards the following
	conns map[net.Conn]struct{}
}

func newPath(at, to string, trip time.Duration) (*path, error) {
	ln, err := net.Listen("tcp", at)
	if err != nil {
		return nil, err
	}
	p := &path{ln: ln, to: to, trip: trip, conns: map[net.Conn]struct{}{}}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p, nil
}

func (p *path) serve(near net.Conn) {
	time.Sleep(p.trip) // TCP's own handshake
	far, err := net.DialTimeout("tcp", p.to, 10*time.Second)
	if err != nil {
		near.Close()
		return
	}
	p.mu.Lock()
	p.conns[near], p.conns[far] = struct{}{}, struct{}{}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pass(far, near) })
	both.Go(func() { p.pass(near, far) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, near)
	delete(p.conns, far)
	p.mu.Unlock()
	near.Close()
	far.Close()
}

// late is bytes, and when they have arrived.
type late struct {
	bytes []byte
	due   time.Time
}

// pathHolds is how many pieces of 32 KiB are on their way at most: 128 MiB.
const pathHolds = 4096

// pass forwards one direction. What fails there ends both.
func (p *path) pass(to, from net.Conn) {
	if p.trip == 0 {
		pump(to, from)
		return
	}
	queue := make(chan late, pathHolds)
	go func() {
		defer close(queue)
		for {
			b := make([]byte, 32<<10)
			n, err := from.Read(b)
			if n > 0 {
				queue <- late{b[:n], time.Now().Add(p.trip / 2)}
			}
			if err != nil {
				return
			}
		}
	}()
	broken := false
	for l := range queue {
		if broken {
			continue
		}
		time.Sleep(time.Until(l.due))
		if _, err := to.Write(l.bytes); err != nil {
			broken = true
			from.Close()
		}
	}
	to.(*net.TCPConn).CloseWrite()
}

// cut resets every connection that there is.
func (p *path) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	clear(p.conns)
}

func (p *path) close() {
	p.ln.Close()
	p.cut()
}
