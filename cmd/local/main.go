// Local is the whole relay on one machine: for the phones beside it, to see what
// a relay does, and to have an API Gateway for tests. It links all that Culvert
// has, and what takes WhatsApp's place; whoever has a link runs culvert instead.
package main

import (
	"culvert/internal/term"
	"culvert/test/local"
)

var program = term.Program{
	Name: "local",
	About: "Runs the whole relay on this machine, with what takes the place of WhatsApp and\n" +
		"of Amazon API Gateway.",
	Commands: []term.Command{
		{Name: "run", Summary: "run origin, edge and client, for the app or to be looked at", Run: withArgs(newRunOptions)},
		{Name: "demo", Summary: "show what the relay does with a stand-in for WhatsApp, and end", Run: withArgs(newDemoOptions)},
		{Name: "gateway", Summary: "be an edge that emulates Amazon API Gateway and its functions", Run: local.RunGateway},
		term.Version("local"),
	},
}

func main() { term.Main(program) }
