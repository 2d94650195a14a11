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
