package emulator

import "culvert/edge"

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
