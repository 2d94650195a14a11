package emulator

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// instance is one process of a function.
type instance struct {
	of     *Process
	born   time.Time
	life   context.Context // done when the process must end
	kill   context.CancelFunc
	gone   chan struct{}    // closed when it has ended
	events chan *invocation // taken by the process that asks for the next one
	fresh  bool             // no invocation has ended; only who runs the instance asks
	expiry *time.Timer      // set while idle; guarded by of.mu

	mu      sync.Mutex // guards the following
	current *invocation
	reason  outcome // why the process ended, as far as it said so
}

// invocation is one event on its way through an instance.
type invocation struct {
	id      string
	payload []byte
	answer  chan outcome // from the process: one
	result  chan outcome // to the caller: one
}

func newInvocation(payload []byte) *invocation {
	return &invocation{
		id:      newUUID(),
		payload: payload,
		answer:  make(chan outcome, 1),
		result:  make(chan outcome, 1),
	}
}

func newInstance(p *Process) *instance {
	i := &instance{of: p, born: time.Now(), fresh: true, gone: make(chan struct{}), events: make(chan *invocation)}
	i.life, i.kill = context.WithCancel(p.life)
	return i
}

func (i *instance) isGone() bool {
	select {
	case <-i.gone:
		return true
	case <-i.life.Done():
		return true
	default:
		return false
	}
}

// live runs the process and its Runtime API until the process ends.
func (i *instance) live() {
	defer close(i.gone)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		i.because("Runtime.Unknown", "no Runtime API: "+err.Error())
		return
	}
	api := &http.Server{Handler: i.api(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	defer i.finish(api)
	i.of.running.Go(func() { api.Serve(ln) })
	if err := i.command(ln.Addr().String()).Run(); err != nil {
		i.because("Runtime.ExitError", "runtime exited: "+err.Error())
	} else {
		i.because("Runtime.ExitError", "runtime exited without providing a reason")
	}
}

// finish waits for the Runtime API's last calls, whose caller is dead.
func (i *instance) finish(api *http.Server) {
	i.kill()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	api.Shutdown(ctx)
	api.Close()
}

func (i *instance) command(api string) *exec.Cmd {
	c := exec.CommandContext(i.life, i.of.bootstrap)
	c.Dir = filepath.Dir(i.of.bootstrap)
	c.Env = i.of.set.environ(api, c.Dir)
	c.Stdout, c.Stderr = i.of.set.Output, i.of.set.Output
	c.WaitDelay = time.Second // for what the process has started and left behind
	return c
}

// because keeps the first reason: what the process says about itself comes
// before what is seen of its end.
func (i *instance) because(kind, message string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.reason.err == nil {
		i.reason = failed(kind, message)
	}
}

func (i *instance) end() outcome {
	<-i.gone
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.reason
}

// run passes v to the process and waits for the answer. If the process did not
// see v, seen is false.
func (i *instance) run(v *invocation) (out outcome, seen bool) {
	began := time.Now()
	if i.fresh {
		began = i.born // starting is billed, too [11]
	}
	out, seen = i.hand(v)
	if seen {
		out = i.await(v)
	}
	if seen || i.fresh {
		i.of.set.Meter.invoked(i.of.set.MemoryMB, time.Since(began))
	}
	return out, seen
}

// hand waits until the process asks for an event.
func (i *instance) hand(v *invocation) (outcome, bool) {
	late := time.NewTimer(i.of.set.InitTimeout)
	defer late.Stop()
	select {
	case i.events <- v:
		return outcome{}, true
	case <-i.gone:
	case <-late.C:
		i.because("Sandbox.Timedout", fmt.Sprintf("no event was asked for within %v", i.of.set.InitTimeout))
		i.kill()
	}
	return i.end(), false
}

// await gives the process its time.
func (i *instance) await(v *invocation) outcome {
	if after, dies := i.of.set.Kill(); dies {
		time.AfterFunc(after, i.kill)
	}
	late := time.NewTimer(i.of.set.Timeout)
	defer late.Stop()
	select {
	case out := <-v.answer:
		return out
	case <-i.gone:
	case <-late.C:
		i.kill()
		return timedOut(i.of.set.Timeout)
	}
	select {
	case out := <-v.answer: // its last word
		return out
	default:
		return i.end()
	}
}
