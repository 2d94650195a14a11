//go:build linux

package main

import (
	"fmt"
	"io"
)

// printTable shows each goal beside its figure.
func printTable(out io.Writer, trials []*trial) {
	fmt.Fprintf(out, "| row | what is measured | goal | figure | |\n|---|---|---|---|---|\n")
	met, all := 0, 0
	for _, t := range trials {
		for _, f := range t.findings {
			sign := "missed"
			if f.ok {
				sign = "met"
				met++
			}
			all++
			fmt.Fprintf(out, "| %s | %s | %s | %s | %s |\n", t.name, f.what, f.goal, f.figure, sign)
		}
		if t.err != nil {
			fmt.Fprintf(out, "| %s | | | not run: %s | |\n", t.name, t.err)
		}
		for _, err := range t.inexact {
			fmt.Fprintf(out, "| %s | every byte once, in order | | %s | INEXACT |\n", t.name, err)
		}
	}
	fmt.Fprintf(out, "\n%d of %d goals are met\n", met, all)
}

// holds says whether all rows ran and no byte was lost and, if figures are to be judged, whether
// none is worse than it is known to be: beside other work on the machine some are.
func holds(out io.Writer, trials []*trial, figures bool) bool {
	ok := true
	complain := func(format string, args ...any) {
		ok = false
		fmt.Fprintf(out, "FAILED: "+format+"\n", args...)
	}
	for _, t := range trials {
		if t.err != nil {
			complain("%s could not be run: %v", t.name, t.err)
		}
		for _, err := range t.inexact {
			complain("%s: %v", t.name, err)
		}
		for _, f := range t.findings {
			if figures && !f.ok && known[t.name+": "+f.what] {
				complain("%s: %s: got %s, want %s", t.name, f.what, f.figure, f.goal)
			}
		}
	}
	return ok
}

// known are the goals that Culvert meets. Whoever makes it meet another adds it
// here, so that it stays met.
var known = map[string]bool{
	"slow-down: chat p50":                                 true,
	"slow-down: link down full":                           true,
	"slow-up: chat p50":                                   true,
	"slow-up: chat p95":                                   true,
	"slow-up: link up full":                               true,
	"slow-upload: upload":                                 true,
	"slow-upload: connections made":                       true,
	"slow-upload: bytes more than were sent":              true,
	"slow-doubt: connections made for no need":            true,
	"freeze15-chat: chat p95":                             true,
	"freeze15-chat: chat max":                             true,
	"freeze15-chat: chat connections at once":             true,
	"freeze15-answer: 64 kB in one answer":                true,
	"beside-390-30-gateway: chat p95":                     true,
	"beside-390-30-gateway: chat max":                     true,
	"beside-390-30-gateway: media down beside it":         true,
	"dies-download: pause of the download":                true,
	"dies-download: download":                             true,
	"dies-upload: pause of the upload":                    true,
	"dies-chat: chat max":                                 true,
	"dies-idle: answer of an idle chat":                   true,
	"one-freezes: media afterwards":                       true,
	"name-dropped: first answer at 150 ms":                true,
	"name-dropped: first answer at 300 ms":                true,
	"resets: tries at one.front.example":                  true,
	"resets: tries at two.front.example":                  true,
	"resets: tries there within 10 s":                     true,
	"resets: chat recovers":                               true,
	"resets: an upload of 4 MB ends":                      true,
	"says-free: causes":                                   true,
	"says-frozen: causes":                                 true,
	"slow-down-gateway: chat p50":                         true,
	"slow-down-gateway: chat p95":                         true,
	"slow-down-gateway: link down full":                   true,
	"slow-both-gateway: chat p95":                         true,
	"slow-both-gateway: link down full":                   true,
	"slow-both-gateway: link up full":                     true,
	"says-gateway: causes":                                true,
	"says-gateway-frozen: causes":                         true,
	"says-stranger: causes":                               true,
	"says-name-silent: causes":                            true,
	"says-name-reset: causes":                             true,
	"says-address: causes":                                true,
	"says-hello-size: causes":                             true,
	"says-slow: causes":                                   true,
	"says-four-a-minute: causes":                          true,
	"says-no-upgrade: causes":                             true,
	"says-no-cookies: causes":                             true,
	"says-wrong-host: causes":                             true,
	"says-no-websocket: causes":                           true,
	"says-idle: causes":                                   true,
	"freeze15-answer: chat behind it max":                 true,
	"freeze15-fast: media with --dial-rate 10":            true,
	"freeze15-fast: media connections at once":            true,
	"freeze15-chat-gateway: chat p95":                     true,
	"freeze15-chat-gateway: chat max":                     true,
	"freeze15-chat-gateway: chat connections at once":     true,
	"freeze15-answer-gateway: 64 kB in one answer":        true,
	"freeze15-answer-gateway: chat behind it max":         true,
	"freeze15-fast-gateway: media with --dial-rate 10":    true,
	"freeze15-fast-gateway: media connections at once":    true,
	"freeze15-media: media":                               true,
	"freeze15-media: media connections at once":           true,
	"freeze20-chat: chat p95":                             true,
	"freeze20-chat: chat max":                             true,
	"freeze20-chat: chat connections at once":             true,
	"freeze20-answer: 64 kB in one answer":                true,
	"freeze20-answer: chat behind it max":                 true,
	"freeze20-fast: media with --dial-rate 10":            true,
	"freeze20-fast: media connections at once":            true,
	"freeze20-chat-gateway: chat p95":                     true,
	"freeze20-chat-gateway: chat max":                     true,
	"freeze20-chat-gateway: chat connections at once":     true,
	"freeze20-answer-gateway: 64 kB in one answer":        true,
	"freeze20-answer-gateway: chat behind it max":         true,
	"freeze20-fast-gateway: media with --dial-rate 10":    true,
	"freeze20-fast-gateway: media connections at once":    true,
	"freeze20-media: media":                               true,
	"freeze20-media: media connections at once":           true,
	"slow-down: chat p95":                                 true,
	"slow-down: chat max":                                 true,
	"slow-down-gateway: chat max":                         true,
	"slow-up: chat max":                                   true,
	"slow-up-gateway: chat p50":                           true,
	"slow-up-gateway: chat p95":                           true,
	"slow-up-gateway: chat max":                           true,
	"slow-up-gateway: link up full":                       true,
	"slow-both: chat p95":                                 true,
	"slow-both: link down full":                           true,
	"dies-upload: delay by a death of an upload of 10 MB": true,
	"one-freezes: media's first 50 kB":                    true,
	"one-freezes: connections to front 1 for it":          true,
	"far: connections to front 2 at 110 ms":               true,
	"far: connections to front 2 at 150 ms":               true,
	"far: connections to front 2 at 300 ms":               true,
	"far: connections to front 2 at 600 ms":               true,
	"far-short: connections to front 2 at 200 ms":         true,
	"name-dropped: first answer at a later start":         true,
	"four-a-minute: chat max":                             true,
	"four-a-minute: media beside it":                      true,
	"four-a-minute-two: chat max":                         true,
	"four-a-minute-two: media beside it":                  true,
	"idle-fin: chat after pauses of 20, 60 and 100 s":     true,
	"idle-silent: chat after pauses of 20, 60 and 100 s":  true,
	"idle-silent: connections made in them":               true,
	"dial-silent: first answer":                           true,
	"dial-silent: first answer of another connection":     true,
	"dial-reset: first answer":                            true,
	"dial-reset: first answer of another connection":      true,
	"hello-size: first answer":                            true,
}
