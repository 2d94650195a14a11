package main

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"culvert/client"
	"culvert/internal/term"
)

// traffic is what has been carried, in bytes.
type traffic struct{ up, down uint64 }

// watcher tells a person how a client is doing, until its context ends: on a
// terminal by one line that stays current, elsewhere by a line whenever that
// changes from connected to not or back, and once a minute.
type watcher struct {
	out     *term.Console
	status  func() client.Status
	traffic func() traffic
	opened  func() int // carriers there were; may be nil
	fronts  int        // of the link

	last      traffic
	lastAt    time.Time
	said      time.Time // when a line was written
	connected bool      // what it said
}

// Intervals of a watcher. While nothing moves it looks less often, so that a
// phone may sleep.
const (
	redraw = time.Second
	idle   = 5 * time.Second
	repeat = time.Minute
)

// watch returns when ctx ends. Connected is what the user was told already.
func (w *watcher) watch(ctx context.Context, connected bool) {
	w.connected, w.said, w.lastAt, w.last = connected, time.Now(), time.Now(), w.traffic()
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer w.out.Show("")
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
func (w *watcher) pause(before traffic) time.Duration {
	if w.out.Live() && w.last != before {
		return redraw
	}
	return idle
}

// update redraws the line and says what changed.
func (w *watcher) update(now time.Time) {
	s := w.status()
	parts := w.parts(s, now)
	w.out.Show(w.fit(s, parts))
	if s.Connected == w.connected && (w.out.Live() || now.Sub(w.said) < repeat) {
		return
	}
	if s.Connected != w.connected && w.out.Live() {
		w.change(s)
	} else {
		fmt.Fprintln(w.out, strings.Join(parts, ", "))
	}
	w.connected, w.said = s.Connected, now
}

func (w *watcher) change(s client.Status) {
	at := time.Now().Format(time.TimeOnly)
	if s.Connected {
		w.out.Step(term.Good, 0, "%s connected again, by front %d", at, s.Front+1)
		return
	}
	w.out.Step(term.Bad, 0, "%s connection lost, trying again", at)
	if s.LastError != nil {
		w.out.Hint("%s", reasonText(s.LastError))
	}
}

// parts are what the line says, the most important first.
func (w *watcher) parts(s client.Status, now time.Time) []string {
	parts := []string{w.connection(s)}
	if s.Connected && s.RTT > 0 {
		parts = append(parts, term.Took(s.RTT))
	}
	t := w.traffic()
	parts = append(parts, fmt.Sprintf("%d open", s.Tunnels), w.amount("up", t.up, w.last.up, now),
		w.amount("down", t.down, w.last.down, now), term.Count(s.Carriers, "carrier"))
	if w.opened != nil {
		parts = append(parts, fmt.Sprintf("%d so far", w.opened()))
	}
	w.last, w.lastAt = t, now
	return parts
}

// amount is a total, and on a terminal how fast it grows.
func (w *watcher) amount(way string, total, before uint64, now time.Time) string {
	text := way + " " + term.Size(total)
	if took := now.Sub(w.lastAt); w.out.Live() && total-before > rateFrom && took > 0 {
		text += " (" + term.Rate(total-before, took) + ")"
	}
	return text
}

// rateFrom leaves pings and acks out: no rate is shown for so few bytes.
const rateFrom = 1 << 10

func (w *watcher) connection(s client.Status) string {
	switch {
	case s.Connected && w.fronts > 1:
		return fmt.Sprintf("connected by front %d", s.Front+1)
	case s.Connected:
		return "connected"
	case s.LastError != nil && !w.out.Live(): // a terminal shows it above
		return "not connected, trying again: " + reasonText(s.LastError)
	}
	return "not connected, trying again"
}

// fit joins as many parts as there is room for.
func (w *watcher) fit(s client.Status, parts []string) string {
	m := term.Good
	if !s.Connected {
		m = term.Bad
	}
	room, line := w.out.Width()-2, ""
	for i, p := range parts {
		if i > 0 {
			p = ", " + p
		}
		if i > 0 && utf8.RuneCountInString(line+p) > room {
			break
		}
		line += p
	}
	return w.out.Paint(m) + " " + shorten(line, room)
}

// shorten cuts s to n characters.
func shorten(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:max(n-1, 0)]) + "…"
}

// reasonText is err on one line.
func reasonText(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
