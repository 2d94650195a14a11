// Local is the whole relay on one machine: to try it, to see what it does, and
// to have an API Gateway at home. None of it is for people who want to use a
// relay; they run culvert.
package main

import "culvert/internal/term"

var program = term.Program{
	Name: "local",
	About: "Runs the whole relay on this machine, with what takes the place of WhatsApp and\n" +
		"of Amazon API Gateway.",
	Commands: []term.Command{
		{Name: "run", Summary: "run origin, edge and client, for the app or to be looked at", Run: runRelay},
		{Name: "demo", Summary: "show what the relay does with a stand-in for WhatsApp, and end", Run: runDemo},
		{Name: "gateway", Summary: "be an edge that emulates Amazon API Gateway and its functions", Run: runGateway},
		term.Version("local"),
	},
}

func main() { term.Main(program) }
