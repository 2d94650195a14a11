package emulator

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"
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
