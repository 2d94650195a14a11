package emulator

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Process runs a function as Lambda does: instances of its bootstrap, each with
// a Runtime API of its own and one invocation at a time, started when there is
// work and ended when there is none. An instance that dies takes its
// invocation with it; the next invocation gets another. The Runtime APIs listen
// on the loopback interface, for whoever is on this machine.
type Process struct {
	bootstrap string
	set       Settings
	life      context.Context
	end       context.CancelFunc

	mu      sync.Mutex  // guards the following
	all     int         // instances
	idle    []*instance // the last used is the last
	closed  bool
	running sync.WaitGroup // invocations and instances; Add only under mu and before closed
}

// NewProcess returns a function that runs the executable at path bootstrap, an
// absolute one, until Close. Nothing is started before there is work.
func NewProcess(bootstrap string, s Settings) *Process {
	p := &Process{bootstrap: bootstrap, set: s.withDefaults()}
	p.life, p.end = context.WithCancel(context.Background())
	return p
}

// Close kills all instances and waits until they are gone.
func (p *Process) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.end()
	p.running.Wait()
}

// Invoke keeps payload while the function runs, which may be longer than the
// call: who asked stops waiting when ctx is done, the function does not.
func (p *Process) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	v := newInvocation(payload)
	if err := p.begin(v); err != nil {
		return nil, err
	}
	select {
	case out := <-v.result:
		return out.reply, out.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// begin finds an instance for v and lets it work on its own.
func (p *Process) begin(v *invocation) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errClosed
	}
	i := p.pick()
	if i == nil {
		if p.all >= p.set.Concurrency {
			return errThrottled
		}
		i = p.add()
	}
	p.running.Go(func() { p.work(i, v) })
	return nil
}

// pick takes the idle instance that was used last, unless it is being ended;
// mu is held.
func (p *Process) pick() *instance {
	for len(p.idle) > 0 {
		i := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if i.expiry.Stop() {
			return i
		}
	}
	return nil
}

// add starts an instance; mu is held.
func (p *Process) add() *instance {
	i := newInstance(p)
	p.all++
	p.running.Go(func() {
		i.live()
		p.remove(i)
	})
	return i
}

// work lets i run v. An instance that died while it was idle has not seen the
// event, so a new one may.
func (p *Process) work(i *instance, v *invocation) {
	out, seen := i.run(v)
	if !seen && !i.fresh {
		p.mu.Lock()
		i = p.add()
		p.mu.Unlock()
		out, _ = i.run(v)
	}
	p.release(i)
	v.result <- out
}

// release makes i idle before its result is known, so that whoever asks next
// finds it.
func (p *Process) release(i *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i.isGone() {
		return
	}
	i.fresh = false
	i.expiry = time.AfterFunc(p.set.Idle, i.kill)
	p.idle = append(p.idle, i)
}

// remove forgets an instance that has ended.
func (p *Process) remove(i *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if at := slices.Index(p.idle, i); at >= 0 {
		p.idle = slices.Delete(p.idle, at, at+1)
		i.expiry.Stop()
	}
}
