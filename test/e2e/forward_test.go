package e2e

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// forwarder is the path between a client and an edge, with all that can happen
// to one. Its fields and methods may be used while connections pass.
type forwarder struct {
	net    network
	ln     net.Listener
	target atomic.Value // of string
	refuse atomic.Bool  // new connections are reset
	deaf   atomic.Bool  // new connections are silent from the start
	delay  atomic.Int64 // ns, each way
	rate   atomic.Int64 // bytes a second of each direction of each connection; 0: any
	every  atomic.Int64 // kill all after about so many bytes; 0: never

	group sync.WaitGroup
	left  atomic.Int64 // bytes to go until the next kill
	kills atomic.Int64
	moved atomic.Int64
	dials atomic.Int64

	mu    sync.Mutex
	links map[*pathway]struct{}
}

// pathway is a connection through a forwarder.
type pathway struct {
	number    int64 // counts up
	near, far net.Conn
	silent    [2]atomic.Bool // up, down: what comes is swallowed
	once      sync.Once
	gone      chan struct{}
}

func newForwarder(t testing.TB, n network, target string) *forwarder {
	f := &forwarder{net: n, ln: n.listen(t), links: map[*pathway]struct{}{}}
	f.target.Store(target)
	f.group.Go(f.accept)
	t.Cleanup(f.close)
	return f
}

func (f *forwarder) addr() string { return f.ln.Addr().String() }

func (f *forwarder) close() {
	f.ln.Close()
	f.kill()
	f.group.Wait()
}

func (f *forwarder) accept() {
	for {
		near, err := f.ln.Accept()
		if err != nil {
			f.kill()
			return
		}
		f.dials.Add(1)
		if f.refuse.Load() {
			abort(near)
			continue
		}
		far, err := f.net.dial(context.Background(), "tcp", f.target.Load().(string))
		if err != nil {
			abort(near)
			continue
		}
		f.start(near, far)
	}
}

func (f *forwarder) start(near, far net.Conn) {
	p := &pathway{number: f.dials.Load(), near: near, far: far, gone: make(chan struct{})}
	p.silent[0].Store(f.deaf.Load())
	p.silent[1].Store(f.deaf.Load())
	f.mu.Lock()
	f.links[p] = struct{}{}
	f.mu.Unlock()
	f.pass(p, near, far, &p.silent[0])
	f.pass(p, far, near, &p.silent[1])
}

// parcel is bytes that are due at the other end at a time.
type parcel struct {
	b   []byte
	due time.Time
}

// pass moves one direction: a reader, and a writer that keeps the delay.
func (f *forwarder) pass(p *pathway, from, to net.Conn, silent *atomic.Bool) {
	way := make(chan parcel, 256)
	f.group.Go(func() {
		defer close(way)
		buf := make([]byte, 16<<10)
		for {
			n, err := from.Read(buf)
			if n > 0 && !silent.Load() {
				select {
				case way <- parcel{append([]byte(nil), buf[:n]...), time.Now().Add(time.Duration(f.delay.Load()))}:
				case <-p.gone:
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	f.group.Go(func() {
		for b := range way {
			if !p.wait(time.Until(b.due)) || !p.wait(f.pace(len(b.b))) {
				return
			}
			if silent.Load() {
				continue
			}
			if _, err := to.Write(b.b); err != nil {
				break
			}
			f.count(len(b.b))
		}
		if silent.Load() { // an end is swallowed as well
			<-p.gone
			return
		}
		f.drop(p, false)
	})
}

func (f *forwarder) pace(n int) time.Duration {
	if rate := f.rate.Load(); rate > 0 {
		return time.Duration(n) * time.Second / time.Duration(rate)
	}
	return 0
}

func (p *pathway) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.gone:
		return false
	}
}

func (f *forwarder) count(n int) {
	f.moved.Add(int64(n))
	every := f.every.Load()
	if every > 0 && f.left.Add(-int64(n)) <= 0 {
		f.left.Store(every/2 + rand.Int64N(every))
		f.kill()
	}
}

// kill resets all connections and says how many there were.
func (f *forwarder) kill() int {
	all := f.all()
	for _, p := range all {
		f.drop(p, true)
	}
	if len(all) > 0 {
		f.kills.Add(1)
	}
	return len(all)
}

// silence swallows, from now on, what the connections there are bring up and down.
func (f *forwarder) silence(up, down bool) {
	for _, p := range f.all() {
		p.silent[0].Store(up)
		p.silent[1].Store(down)
	}
}

func (f *forwarder) all() []*pathway {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []*pathway
	for p := range f.links {
		all = append(all, p)
	}
	return all
}

func (f *forwarder) open() int { return len(f.all()) }

func (f *forwarder) drop(p *pathway, hard bool) {
	p.once.Do(func() {
		f.mu.Lock()
		delete(f.links, p)
		f.mu.Unlock()
		close(p.gone)
		if hard {
			abort(p.near)
			abort(p.far)
			return
		}
		p.near.Close()
		p.far.Close()
	})
}
