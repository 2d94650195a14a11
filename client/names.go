package client

import (
	"culvert/internal/link"
	"culvert/internal/wire"
)

// Programs outside this module cannot import what is internal to it: these are the names of what
// the Client's methods take and return.
type (
	// Service says what a stream is for: one of the kinds, and, for Media and Web, the host of WhatsApp's.
	Service = wire.Service

	// Front is one way to reach an edge, as a link has it.
	Front = link.Front
)

// The kinds of a Service.
const (
	Chat  = wire.Chat
	Media = wire.Media
	Web   = wire.Web
)
