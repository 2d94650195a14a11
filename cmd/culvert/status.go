package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"culvert/client/household"
	"culvert/internal/lang"
	"culvert/internal/term"
)

const statusAbout = `
Asks the clients that run here, started by culvert connect, how they do: connected or not, by
which front, how fast, and what phones are told. It ends with 0 if there are some and all are
connected, else with 1. It names no link, no front's host and nobody's address but the one
that phones dial.

--json prints one object, whose fields only ever get more:
  version  1
  ok       whether there are clients, and all are connected
  clients  a list of {
    "connected":  whether there is a way to the origin
    "resting":    true if there is none while nobody uses it; it is connected then
    "front", "fronts": the number, from 1, of the front in use, or of the next to be
                  tried, and how many there are
    "door":       "stream" or "gateway"; missing where nothing is carried
    "rtt_ms":     the shortest round trip to the origin; missing if not measured
    "open", "carriers": connections of apps, and to the origin
    "sent", "received": bytes of the apps' connections so far, towards WhatsApp and back
    "up_bytes_s", "down_bytes_s": bytes a second since it was asked last, within 30 s
    "since":      when it began, RFC 3339
    "app":        {"host", "chat_port", "media_port", "link"}: the app's proxy setting
    "lan":        whether phones on the same network are let in
    "pid":        its process }

Examples:
  culvert status
  culvert status --json`

// clients is what "culvert status --json" prints.
type clients struct {
	Version int               `json:"version"`
	OK      bool              `json:"ok"`
	Clients []household.State `json:"clients"`
}

func runStatus(ctx context.Context, args []string, stdout, _ io.Writer) error {
	f := term.NewFlags("culvert status", "[flags]", statusAbout)
	inJSON := f.Bool("json", false, "print JSON")
	state := f.String("state", stateDir(), "`DIR` that culvert connect was given")
	l := languageFlag(f)
	if err := f.ParseNone(args, stdout); err != nil {
		return err
	}
	if *state == noState {
		return f.Wrong("clients are asked in the directory of their --state: name it, as none of them can be asked without")
	}
	found, err := household.Ask(ctx, *state)
	if err != nil {
		return term.BadInput{Err: fmt.Errorf("--state: %w", err)}
	}
	all := clients{Version: 1, OK: areConnected(found), Clients: found}
	switch {
	case *inJSON:
		err = term.JSON(stdout, all)
	case len(found) == 0:
		return errNoClient
	default:
		out := term.NewConsole(stdout).In(*l)
		for _, s := range found {
			tellStatus(out, s, *l)
		}
	}
	if err == nil && !all.OK {
		err = term.ExitCode(1)
	}
	return err
}

var errNoClient = errors.New("no client of yours runs here: start one with culvert connect, ask one that starts with the machine by culvert service status, or name with --state the directory that it was given")

func areConnected(all []household.State) bool {
	for _, s := range all {
		if !s.Connected {
			return false
		}
	}
	return len(all) > 0
}

// tellStatus tells a person of one client.
func tellStatus(out *term.Console, s household.State, l lang.Language) {
	text, good := s.Says(l)
	mark := term.Good
	if !good {
		mark = term.Bad
	}
	out.Step(mark, 0, "%s", text)
	for _, r := range s.Rows(l) {
		out.Hint("%s: %s", r.Name, r.Value)
	}
	if s.Setting.Chat != 0 {
		out.Hint("%s: %s, %s: %d, %s: %d", "Host", s.Setting.Host, "Chat port", s.Setting.Chat, "Media port", s.Setting.Media)
	}
}
