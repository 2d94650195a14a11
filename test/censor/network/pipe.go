package network

import (
	"io"
	"sync"
	"time"
)

// pipeRoom is how many packets are on their way at most: 3.3 s at 300 Mbit/s.
const pipeRoom = 1 << 16

// pipe carries packets one way, in order. Its sender never waits.
type pipe struct {
	out     io.Writer
	packets chan dated

	mu   sync.Mutex // guards the following
	free time.Time  // when the bottleneck has sent all that it has taken
	last time.Time  // when the packet before is due: none overtakes another
}

type dated struct {
	due time.Time
	b   []byte
}

func newPipe(out io.Writer) *pipe { return &pipe{out: out, packets: make(chan dated, pipeRoom)} }

// send takes a packet, which it keeps, or drops it.
func (p *pipe) send(b []byte, r Rate, delay time.Duration, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	due := now
	if r.Bits > 0 {
		start := now
		if p.free.After(now) {
			start = p.free
		}
		if start.Sub(now) > r.Queue {
			return false
		}
		p.free = start.Add(time.Duration(len(b)) * 8 * time.Second / time.Duration(r.Bits))
		due = p.free
	}
	if due = due.Add(delay); due.Before(p.last) {
		due = p.last
	}
	select {
	case p.packets <- dated{due, b}:
		p.last = due
		return true
	default:
		return false
	}
}

// run writes packets when they are due, until stop.
func (p *pipe) run(stop <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case d := <-p.packets:
			if wait := time.Until(d.due); wait > 0 {
				timer.Reset(wait)
				select {
				case <-timer.C:
				case <-stop:
					return
				}
			}
			p.out.Write(d.b) // an end that is gone or full loses it, as others do
		}
	}
}
