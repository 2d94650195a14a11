package nearend

import (
	"context"
	"fmt"
	"strings"
	"time"

	"culvert/client"
	"culvert/internal/term"
)

// patience is how long the first connection may take before we say that there
// is none yet.
const patience = 5 * time.Second

// Run is Serve that tells a person how it goes.
func (n *NearEnd) Run(ctx context.Context, out *term.Console) error {
	return n.run(ctx, out, patience)
}

func (n *NearEnd) run(ctx context.Context, out *term.Console, patience time.Duration) error {
	served := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { defer stop(); served <- n.Serve(ctx) }()
	connected := n.greet(ctx, out, patience)
	w := Watcher{Out: out, Status: n.Client.Status, Traffic: n.Traffic, Fronts: n.fronts}
	w.Watch(ctx, connected)
	err := <-served
	if err == nil {
		out.Say("Stopped.")
	}
	return err
}

// greet waits for the first connection, but not for long.
func (n *NearEnd) greet(ctx context.Context, out *term.Console, patience time.Duration) bool {
	start := time.Now()
	out.Show(out.Text("… connecting"))
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := n.Client.WaitReady(wait)
	switch s := n.Client.Status(); {
	case ctx.Err() != nil:
		return false
	case err == nil:
		out.Step(term.Good, time.Since(start), "Connected by %s", frontName(s.Front, n.fronts))
		return true
	case s.LastError != nil:
		out.Step(term.Bad, 0, "Not connected yet, and trying on")
		out.Hint("%s", term.OneLine(s.LastError))
		out.Hint("culvert doctor with the same link says where the way ends.")
	default:
		out.Step(term.Bad, 0, "Not connected after %s, and trying on", term.Took(patience))
	}
	return false
}

// Traffic is what has been carried, in bytes.
type Traffic struct{ Up, Down uint64 }

// Watcher tells a person how a client is doing, until its context ends: on a
// terminal by one line that stays current, elsewhere by a line whenever the
// client has become connected or is so no longer, and once a minute.
type Watcher struct {
	Out     *term.Console
	Status  func() client.Status
	Traffic func() Traffic
	Opened  func() int // how many carriers there were; may be nil
	Fronts  int        // of the link

	several   bool   // there is more than one front
	list      uint32 // version of the list of fronts that came later, of which it was told
	last      Traffic
	lastAt    time.Time
	said      time.Time // when a line was written
	connected bool      // what it said
}

// Intervals of a Watcher. While nothing moves it looks less often, so that a
// phone may sleep.
const (
	redraw = time.Second
	idle   = 5 * time.Second
	repeat = time.Minute
)

// Watch returns when ctx ends. Connected is what the user was told already.
func (w *Watcher) Watch(ctx context.Context, connected bool) {
	w.connected, w.said, w.lastAt, w.last = connected, time.Now(), time.Now(), w.Traffic()
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer w.Out.Show("")
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-timer.C:
			before := w.last
			w.update(now)
			timer.Reset(w.pause(before))
		}
	}
}

// pause is how long to wait when so much had moved before the last update.
func (w *Watcher) pause(before Traffic) time.Duration {
	if w.Out.Live() && w.last != before {
		return redraw
	}
	return idle
}

// update redraws the line and says what changed.
func (w *Watcher) update(now time.Time) {
	s := w.Status()
	w.hear(s)
	parts := w.parts(s, now)
	w.Out.Show(w.fit(s, parts))
	if s.Connected == w.connected && (w.Out.Live() || now.Sub(w.said) < repeat) {
		return
	}
	if s.Connected != w.connected && w.Out.Live() {
		w.change(s)
	} else {
		w.Out.Line(strings.Join(parts, w.Out.Comma()))
	}
	w.connected, w.said = s.Connected, now
}

func (w *Watcher) change(s client.Status) {
	at := time.Now().Format(time.TimeOnly)
	if s.Connected {
		w.Out.Step(term.Good, 0, "%s connected again, by %s", at, w.front(s.Front))
		return
	}
	w.Out.Step(term.Bad, 0, "%s connection lost, trying again", at)
	if s.LastError != nil {
		w.Out.Hint("%s", term.OneLine(s.LastError))
	}
}

// parts are what the line says, the most important first.
func (w *Watcher) parts(s client.Status, now time.Time) []string {
	parts := []string{w.Out.Text("%s", w.connection(s))}
	if s.Connected && s.RTT > 0 {
		parts = append(parts, term.Took(s.RTT))
	}
	t := w.Traffic()
	parts = append(parts, w.Out.Text("%d open", s.Tunnels), w.amount(w.Out.Text("up"), t.Up, w.last.Up, now),
		w.amount(w.Out.Text("down"), t.Down, w.last.Down, now), w.Out.Text("%s", term.Count(s.Carriers, "carrier")))
	if w.Opened != nil {
		parts = append(parts, w.Out.Text("%d so far", w.Opened()))
	}
	if ways := w.ways(s.Ways); ways != "" {
		parts = append(parts, ways)
	}
	if end := w.lastEnd(s.LastEnd, now); end != "" {
		parts = append(parts, end)
	}
	w.last, w.lastAt = t, now
	return parts
}

// amount is a total, and on a terminal how fast it grows.
func (w *Watcher) amount(way string, total, before uint64, now time.Time) string {
	text := way + " " + term.Size(total)
	if took := now.Sub(w.lastAt); w.Out.Live() && total-before > rateFrom && took > 0 {
		text += " (" + term.Rate(total-before, took) + ")"
	}
	return text
}

// rateFrom leaves pings and acks out: no rate is shown for so few bytes.
const rateFrom = 1 << 10

func (w *Watcher) connection(s client.Status) string {
	switch {
	case s.Resting:
		return "at rest until it is used"
	case s.Connected && w.several:
		return fmt.Sprintf("connected by %s", w.front(s.Front))
	case s.Connected:
		return "connected"
	case s.LastError != nil && !w.Out.Live(): // a terminal shows it above
		return "not connected, trying again: " + term.OneLine(s.LastError)
	}
	return "not connected, trying again"
}

// fit joins as many parts as there is room for.
func (w *Watcher) fit(s client.Status, parts []string) string {
	m := term.Good
	if !s.Connected {
		m = term.Bad
	}
	room, line := w.Out.Width()-2, ""
	for i, p := range parts {
		if i > 0 {
			p = w.Out.Comma() + p
		}
		if i > 0 && term.Columns(line+p) > room {
			break
		}
		line += p
	}
	return w.Out.Paint(m) + " " + shorten(line, room)
}

// shorten cuts s to n columns.
func shorten(s string, n int) string {
	if term.Columns(s) <= n {
		return s
	}
	letters := []rune(s)
	for len(letters) > 0 && term.Columns(string(letters)) >= n {
		letters = letters[:len(letters)-1]
	}
	return string(letters) + "…"
}
