package emulator

import (
	"cmp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const defaultRegion = "us-east-1"

// Routes are the functions that API Gateway calls. One that is nil is a route
// that the API does not have: everyone may connect, messages are answered with
// "Forbidden", nobody is told of the end.
type Routes struct{ Connect, Default, Disconnect Function }

// Options are all optional: zero stands for what AWS does, or for a bound of
// ours where the comment says so. Sources are in the package's comment.
type Options struct {
	API         string          // the API's id. Default "emulated00"
	Region      string          // default "us-east-1"
	Stage       string          // first and only element of the path. Default "v1"
	Credentials aws.Credentials // who may call @connections; without any, nobody may

	FrameBytes   int           // of a client's frame; more closes with 1009. Default 32 KiB
	MessageBytes int           // of a message either way; more closes with 1009 or is refused with 413. Default 128 KiB
	Idle         time.Duration // without a message either way closes with 1001. Default 10 min
	Life         time.Duration // of a connection, then closes with 1001. Default 2 h
	Integration  time.Duration // for a function to answer. Default 29 s
	ConnectRate  int           // new connections a second, and their burst; more are refused with 429. Default 500
	RequestRate  int           // messages and calls of @connections a second; more close with 1008 or are refused with 429. Default 10,000
	RequestBurst int           // of those. Default 5,000
	OpenDelay    time.Duration // from the handshake's answer until posts no longer get 410. Default none

	ClientBuffer   int           // bytes that wait for one client; then posts get 429. Default 512 KiB, a guess
	BufferBytes    int           // bytes that wait for all clients; then posts get 429. Default 256 MiB, ours
	MaxConnections int           // at once; more are refused with 429. Default 10,000, ours
	MaxInFlight    int           // messages on their way to functions; then clients' bytes wait. Default 1,000, ours
	WriteTimeout   time.Duration // for a client to take one message; then its connection is cut. Default 30 s, ours
	CloseTimeout   time.Duration // for a client to answer a close frame. Default 2 s, ours

	Faults Faults
	Meter  *Meter // counts what is charged. Default: nobody
}

// Faults are asked whenever their turn comes, by many at once.
type Faults struct {
	Latency   func() time.Duration // how long a message, either way, or the news of an end is held back
	Duplicate func() bool          // whether a message, either way, is delivered twice
	Cut       func() bool          // whether the connection of a message, either way, is cut instead of delivering it
	FailPost  func() int           // the status that a call of @connections fails with; 0: it does not fail
}

func (o Options) withDefaults() Options {
	o.API = cmp.Or(o.API, "emulated00")
	o.Region = cmp.Or(o.Region, defaultRegion)
	o.Stage = cmp.Or(o.Stage, "v1")
	o.FrameBytes = cmp.Or(o.FrameBytes, 32<<10)
	o.MessageBytes = cmp.Or(o.MessageBytes, 128<<10)
	o.Idle = cmp.Or(o.Idle, 10*time.Minute)
	o.Life = cmp.Or(o.Life, 2*time.Hour)
	o.Integration = cmp.Or(o.Integration, 29*time.Second)
	o.ConnectRate = cmp.Or(o.ConnectRate, 500)
	o.RequestRate = cmp.Or(o.RequestRate, 10_000)
	o.RequestBurst = cmp.Or(o.RequestBurst, 5000)
	o.ClientBuffer = cmp.Or(o.ClientBuffer, 512<<10)
	o.BufferBytes = cmp.Or(o.BufferBytes, 256<<20)
	o.MaxConnections = cmp.Or(o.MaxConnections, 10_000)
	o.MaxInFlight = cmp.Or(o.MaxInFlight, 1000)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 30*time.Second)
	o.CloseTimeout = cmp.Or(o.CloseTimeout, 2*time.Second)
	o.Faults = o.Faults.withDefaults()
	return o
}

func (f Faults) withDefaults() Faults {
	never := func() bool { return false }
	if f.Latency == nil {
		f.Latency = func() time.Duration { return 0 }
	}
	if f.Duplicate == nil {
		f.Duplicate = never
	}
	if f.Cut == nil {
		f.Cut = never
	}
	if f.FailPost == nil {
		f.FailPost = func() int { return 0 }
	}
	return f
}

// copies is how often a message is delivered.
func (f Faults) copies() int {
	if f.Duplicate() {
		return 2
	}
	return 1
}

// domain is the name that the API has in events.
func (o *Options) domain() string {
	return o.API + ".execute-api." + o.Region + ".amazonaws.com"
}
