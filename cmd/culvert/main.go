// Culvert carries the unmodified WhatsApp app's connections under whatever
// blocks their way. This program is what people run.
package main

import "culvert/internal/term"

var program = term.Program{
	Name:  "culvert",
	About: "Culvert carries the unmodified WhatsApp app's connections under whatever blocks\ntheir way.",
	Commands: []term.Command{
		{Name: "connect", Summary: "take the app's connections and carry them to the origin", Run: runConnect},
		{Name: "service", Summary: "have the system start a client with the machine", Run: serviceProgram.Dispatch},
		{Name: "status", Summary: "say how the clients do that run here", Run: runStatus},
		{Name: "doctor", Summary: "say how far connections come, and what to try", Run: runDoctor},
		{Name: "link", Summary: "make and read links, which users are handed", Run: linkProgram.Dispatch},
		term.Version("culvert"),
	},
	Language: spoken,
}

func main() {
	if !runAsService() {
		term.Main(program)
	}
}
