// Package emulator is API Gateway's WebSocket side as an http.Handler, with the
// Lambda functions behind it: in this process, or as the bootstrap binaries
// that go to the cloud.
package emulator
