package tunnel

import (
	"sync"
	"time"
)

// pauses are the tunnels whose streams have said something, and whose readers have large stacks until these pause. One
// that says nothing more is asked by nobody else for seconds: an ack may come before it has paused.
type pauses struct {
	mu    sync.Mutex
	said  []*Tunnel
	begin chan struct{} // tells whoever sweeps that there are some
}

// pauseEvery is how often they are looked at.
const pauseEvery = 250 * time.Millisecond

// expect has t's reader given a small stack soon after its stream has paused.
func (p *pauses) expect(t *Tunnel) {
	if t.reader.nonblocking == nil || t.reader.listed.Swap(true) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = append(p.said, t)
	if len(p.said) == 1 {
		select {
		case p.begin <- struct{}{}:
		default:
		}
	}
}

// end has the readers of those that pause wait with small stacks, and returns how many are told nothing more, and
// how many are left.
func (p *pauses) end() (ended, left int) {
	p.mu.Lock()
	said := p.said
	p.said = nil
	p.mu.Unlock()
	busy := said[:0]
	for _, t := range said {
		if t.settles() {
			ended++
		} else {
			busy = append(busy, t)
		}
	}
	clear(said[len(busy):])
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = append(busy, p.said...)
	return ended, len(p.said)
}

// settles has the tunnel's reader wait with a small stack if the stream pauses, and reports that it does, or was told to
// before: a reader that waits for room, or has ended, hears of it at the next sweep.
func (t *Tunnel) settles() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &t.reader
	r.listed.Store(false) // before r is looked at: who reads now lists it again
	switch pauses := r.rest(); {
	case t.isOver(), pauses && (r.told || !r.grown.Load()):
		r.told = false
		return true
	case pauses:
		r.told = true
	}
	return r.listed.Swap(true)
}
