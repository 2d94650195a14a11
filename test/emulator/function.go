package emulator

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"culvert/edge"
)

// Function is a Lambda function: an event's JSON in, the reply's JSON out.
// Lambda runs it even after ctx is done, as API Gateway stops waiting but
// cannot stop the function. Any handler of aws-lambda-go is one, but only
// InProcess and Process know a function's limits and meter it.
type Function interface {
	Invoke(ctx context.Context, payload []byte) ([]byte, error)
}

// FunctionError means the function ran and failed, or its instance died.
type FunctionError struct{ Type, Message string }

func (e *FunctionError) Error() string { return e.Type + ": " + e.Message }

// errThrottled means that Lambda did not start the function: as many run as may.
var errThrottled = errors.New("function is throttled: as many instances run as may")

// errClosed means that the function was closed, or the gateway.
var errClosed = errors.New("closed")

// Settings describe a function. All are optional; zero stands for what Lambda
// does by itself.
type Settings struct {
	Name        string            // default "function"
	Region      string            // default "us-east-1"
	MemoryMB    int               // what is metered. Default 128
	Timeout     time.Duration     // after which an invocation fails. Default 3 s
	Concurrency int               // invocations at once; more are throttled. Default 1,000
	Idle        time.Duration     // a process without work for this long ends. Default 5 min (a guess)
	InitTimeout time.Duration     // for a process to ask for its first event. Default 10 s
	Env         map[string]string // what a process finds beside Lambda's own variables
	Output      io.Writer         // gets what processes print, several at once. Default: nobody
	Meter       *Meter            // counts invocations and their cost. Default: nobody

	// Kill is asked at each invocation whether its instance dies, and how long
	// after it got the event. Default: none does.
	Kill func() (after time.Duration, dies bool)
}

func (s Settings) withDefaults() Settings {
	s.Name = cmp.Or(s.Name, "function")
	s.Region = cmp.Or(s.Region, defaultRegion)
	s.MemoryMB = cmp.Or(s.MemoryMB, 128)
	s.Timeout = cmp.Or(s.Timeout, 3*time.Second)
	s.Concurrency = cmp.Or(s.Concurrency, 1000)
	s.Idle = cmp.Or(s.Idle, 5*time.Minute)
	s.InitTimeout = cmp.Or(s.InitTimeout, 10*time.Second)
	if s.Kill == nil {
		s.Kill = func() (time.Duration, bool) { return 0, false }
	}
	return s
}

// arn is the function's name in full, in the account that documentation uses.
func (s Settings) arn() string {
	return "arn:aws:lambda:" + s.Region + ":123456789012:function:" + s.Name
}

// outcome is how an invocation ended.
type outcome struct {
	reply []byte
	err   error
}

func failed(kind, message string) outcome {
	return outcome{err: &FunctionError{kind, message}}
}

func timedOut(after time.Duration) outcome {
	return failed("Sandbox.Timedout", "task timed out after "+after.String())
}

func killed() outcome { return failed("Runtime.ExitError", "runtime exited: signal: killed") }

// InProcess runs a handler in this process: for tests, since it also works
// within a bubble of synctest.
type InProcess struct {
	handler any
	set     Settings
	slots   chan struct{} // holds one for each invocation
	idle    chan lambda.Handler
	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup
}

// NewInProcess returns a function that works until Close. handler is what
// lambda.Start takes, and is called by many at once; each call has a
// lambda.Handler to itself, whose Invoke returns bytes that its next call
// overwrites (aws-lambda-go v1.55.1).
func NewInProcess(handler any, s Settings) *InProcess {
	f := &InProcess{handler: handler, set: s.withDefaults()}
	f.slots = make(chan struct{}, f.set.Concurrency)
	f.idle = make(chan lambda.Handler, f.set.Concurrency)
	f.life, f.end = context.WithCancel(context.Background())
	return f
}

// Close ends the invocations' contexts and waits until their handlers return.
// Nobody may call Invoke any more.
func (f *InProcess) Close() {
	f.end()
	f.running.Wait()
}

// Invoke lets the handler have payload for as long as it runs, which may be
// longer than the call.
func (f *InProcess) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	select {
	case f.slots <- struct{}{}:
	default:
		return nil, errThrottled
	}
	result := make(chan outcome, 1)
	f.running.Go(func() {
		defer func() { <-f.slots }()
		result <- f.run(payload)
	})
	select {
	case out := <-result:
		return out.reply, out.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run returns at the timeout although the handler may not have returned: its
// context is done by then, and Close waits for it.
func (f *InProcess) run(payload []byte) outcome {
	ctx, cancel := context.WithTimeout(f.life, f.set.Timeout)
	if after, dies := f.set.Kill(); dies {
		defer time.AfterFunc(after, cancel).Stop()
	}
	began := time.Now()
	result := make(chan outcome, 1)
	f.running.Go(func() {
		defer cancel()
		result <- f.call(ctx, payload)
	})
	<-ctx.Done()
	f.set.Meter.invoked(f.set.MemoryMB, time.Since(began))
	select {
	case out := <-result:
		return out
	default:
		return f.unfinished(ctx)
	}
}

func (f *InProcess) unfinished(ctx context.Context) outcome {
	if ctx.Err() == context.DeadlineExceeded {
		return timedOut(f.set.Timeout)
	}
	return killed()
}

// call turns a panic into what Lambda makes of one.
func (f *InProcess) call(ctx context.Context, payload []byte) (out outcome) {
	defer func() {
		if p := recover(); p != nil {
			out = failed("Runtime.Panic", fmt.Sprint(p))
		}
	}()
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{
		AwsRequestID:       newUUID(),
		InvokedFunctionArn: f.set.arn(),
	})
	h := f.idleHandler()
	reply, err := h.Invoke(ctx, payload)
	reply = bytes.Clone(reply)
	f.keep(h)
	if err != nil {
		return failed("Error", err.Error())
	}
	return outcome{reply: reply}
}

func (f *InProcess) idleHandler() lambda.Handler {
	select {
	case h := <-f.idle:
		return h
	default:
		return lambda.NewHandler(f.handler)
	}
}

// keep finds no room only if handlers outlived their timeout.
func (f *InProcess) keep(h lambda.Handler) {
	select {
	case f.idle <- h:
	default:
	}
}

// GateRoutes are the functions of g, run in this process until end is called.
// Each has the settings s but for its name.
func GateRoutes(g *edge.Gate, s Settings) (r Routes, end func()) {
	named := func(name string, handler any) *InProcess {
		s := s
		s.Name = name
		return NewInProcess(handler, s)
	}
	connect, message, disconnect := named("connect", g.Connect), named("message", g.Message), named("disconnect", g.Disconnect)
	return Routes{Connect: connect, Default: message, Disconnect: disconnect}, func() {
		connect.Close()
		message.Close()
		disconnect.Close()
	}
}
