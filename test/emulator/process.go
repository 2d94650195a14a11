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
	"slices"
	"strconv"
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
	out, seen = i.offer(v)
	if seen {
		out = i.await(v)
	}
	if seen || i.fresh {
		i.of.set.Meter.invoked(i.of.set.MemoryMB, time.Since(began))
	}
	return out, seen
}

// offer waits until the process asks for an event.
func (i *instance) offer(v *invocation) (outcome, bool) {
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

// environ is what a function finds in its environment: Lambda's variables for
// an OS-only runtime and the function's own, nothing of ours [10]. Credentials
// are missing: no function here has a role.
func (s Settings) environ(api, root string) []string {
	env := []string{
		"_HANDLER=bootstrap",
		"AWS_DEFAULT_REGION=" + s.Region,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(s.MemoryMB),
		"AWS_LAMBDA_FUNCTION_NAME=" + s.Name,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/" + s.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME=local",
		"AWS_LAMBDA_RUNTIME_API=" + api,
		"AWS_REGION=" + s.Region,
		"LAMBDA_RUNTIME_DIR=/var/runtime",
		"LAMBDA_TASK_ROOT=" + root,
		"LANG=en_US.UTF-8",
		"PATH=/usr/local/bin:/usr/bin/:/bin:/opt/bin",
		"TZ=:UTC",
	}
	for name, value := range s.Env {
		env = append(env, name+"="+value)
	}
	return env
}
