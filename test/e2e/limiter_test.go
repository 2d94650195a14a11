package e2e

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
)

// limits says what a connection passes before its path fails it.
type limits struct {
	bytes   [2]int64 // up, down: of that direction; unlimited: any number
	freezes bool     // it drops everything then, and nobody is told; else both ends see it closed
}

const unlimited = 1 << 62

// limiter is a path whose connections each pass so many bytes, exactly, and then no more.
type limiter struct {
	net    network
	ln     net.Listener
	target string
	inTLS  bool                      // it ends the client's TLS and counts what is inside; the target's door is plain then
	limits func(number int64) limits // of a connection, counted from 1
	dials  atomic.Int64
	first  [2]atomic.Int64 // up, down: what the first connection has passed
	group  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  []net.Conn
}

// limit makes a limiter in front of target that runs until the test ends, or close.
func (w *world) limit(target string, inTLS bool, of func(number int64) limits) *limiter {
	l := &limiter{net: w.net, ln: w.net.listen(w), target: target, inTLS: inTLS, limits: of}
	l.group.Go(l.accept)
	w.Cleanup(l.close)
	return l
}

func (l *limiter) addr() string { return l.ln.Addr().String() }

func (l *limiter) close() {
	l.ln.Close()
	l.mu.Lock()
	l.closed = true
	for _, c := range l.conns {
		c.Close()
	}
	l.mu.Unlock()
	l.group.Wait()
}

func (l *limiter) accept() {
	for {
		near, err := l.ln.Accept()
		if err != nil {
			return
		}
		far, err := l.net.dial(context.Background(), "tcp", l.target)
		if err != nil {
			near.Close()
			continue
		}
		if l.inTLS {
			near = tls.Server(near, serverTLS(certificate()))
		}
		if !l.keep(near, far) {
			return
		}
		l.pass(l.dials.Add(1), near, far)
	}
}

// keep has close end the connections; false: it has been called.
func (l *limiter) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, conns...)
	for _, c := range conns {
		if l.closed {
			c.Close()
		}
	}
	return !l.closed
}

func (l *limiter) pass(number int64, near, far net.Conn) {
	of := l.limits(number)
	frozen := new(atomic.Bool)
	l.group.Go(func() { l.copy(number, 0, near, far, of, frozen) })
	l.group.Go(func() { l.copy(number, 1, far, near, of, frozen) })
}

// copy passes one direction until it ends or is over its limit.
func (l *limiter) copy(number int64, way int, from, to net.Conn, of limits, frozen *atomic.Bool) {
	buf := make([]byte, 16<<10)
	for left := of.bytes[way]; left > 0 && !frozen.Load(); {
		n, err := from.Read(buf[:min(left, int64(len(buf)))])
		if n > 0 && !frozen.Load() {
			to.Write(buf[:n])
			left -= int64(n)
			if number == 1 {
				l.first[way].Add(int64(n))
			}
		}
		if err != nil && !frozen.Load() {
			from.Close()
			to.Close()
			return
		}
	}
	if !of.freezes {
		from.Close()
		to.Close()
		return
	}
	frozen.Store(true)
	for { // swallow what comes, the end too
		if _, err := from.Read(buf); err != nil {
			return
		}
	}
}
