// Package emulator is API Gateway's WebSocket side as an http.Handler, with the
// Lambda functions behind it: in this process, or as the bootstrap binaries that
// go to the cloud. It is for tests, for running the gateway door on one machine,
// and for reckoning what AWS would charge. Numbers in brackets are sources, see
// below.
//
// # What is faithful
//
//   - $connect is waited for: 2xx admits, any other status refuses with it, a
//     function that fails refuses with 502, one that Lambda does not run with
//     500 [3, 9].
//   - Messages are text; each is an invocation of its own, none waits for the one
//     before, and nothing of a function's answer reaches the client [4]. A failure
//     does, as a text message, and so does a missing route [8]; a status that is
//     not 2xx is no failure.
//   - Quotas: frames of 32 KB, messages of 128 KB, 10 minutes idle, 2 hours of
//     life, 29 seconds for a function, 500 connections a second, 10,000 requests a
//     second with bursts of 5,000, shared by messages and calls of @connections [1].
//   - Close codes: 1001 idle or old, 1003 binary, 1008 throttled, 1009 too large,
//     1012 restart; 1000 for DELETE, whatever its caller wants to say [2, 6].
//   - $disconnect comes after the end, once, or never: not when the gateway closes [3].
//   - @connections checks Signature Version 4 and answers 410 for connections that
//     have ended or are not open yet, 403 for ids that never were, 413, 429 when
//     the client's buffer is full [5].
//   - Events have the fields of recorded ones [7].
//   - Functions are started at need, one invocation at a time each, and paid from
//     their start; a timeout kills; who asked may give up before [10, 11].
//
// # What is guessed
//
//   - A client that sends too fast: 1008 [6]. No recording of it was found.
//   - A handshake beyond a rate gets 429, a function too slow for $connect 504, as
//     with REST APIs. What is no handshake at all gets 400.
//   - Pings are answered and do not count as messages: AWS does not say.
//   - The size of a client's buffer, and how long a client may take to read.
//   - When posts begin to work: here as soon as the handshake is answered, or
//     OpenDelay later. Users report 410 for the first moments.
//   - Messages to clients are cut into frames of 32 KB.
//   - How long Lambda keeps an idle instance.
//   - Notices of failures are metered like other messages to clients; handshakes
//     are not.
//
// # What is left out
//
// Authorizers, API keys, route selection by content, route responses, models,
// custom domains, TLS (its server's task) and the roles of functions. Any Host is
// served.
//
// # Sources
//
//	 1 docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html, …/limits.html
//	 2 …/websocket-api-develop-binary-media-types.html
//	 3 …/apigateway-websocket-api-route-keys-connect-disconnect.html
//	 4 …/apigateway-websocket-api-routes-integrations.html
//	 5 …/apigateway-how-to-call-websocket-api-connections.html and the SDK's model of the API
//	 6 github.com/aws/agent-toolkit-for-aws, aws-serverless/references/api-gateway.md
//	 7 github.com/aws/aws-lambda-go, events/testdata/apigw-websocket-request-*.json
//	 8 github.com/aws/chalice/issues/1406, github.com/Kludex/mangum/issues/128
//	 9 docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html
//	10 …/runtimes-api.html, …/configuration-envvars.html, …/gettingstarted-limits.html
//	11 aws.amazon.com/api-gateway/pricing, aws.amazon.com/lambda/pricing; starting is billed since August 2025
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
	RequestBurst int           // of messages and calls at once. Default 5,000
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
