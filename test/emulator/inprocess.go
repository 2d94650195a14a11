package emulator

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

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
	h := f.take()
	reply, err := h.Invoke(ctx, payload)
	reply = bytes.Clone(reply)
	f.give(h)
	if err != nil {
		return failed("Error", err.Error())
	}
	return outcome{reply: reply}
}

func (f *InProcess) take() lambda.Handler {
	select {
	case h := <-f.idle:
		return h
	default:
		return lambda.NewHandler(f.handler)
	}
}

// give finds no room only if handlers outlived their timeout.
func (f *InProcess) give(h lambda.Handler) {
	select {
	case f.idle <- h:
	default:
	}
}
