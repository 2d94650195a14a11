package nearend

import (
	"fmt"
	"time"

	"culvert/client"
	"culvert/internal/term"
)

// ways says which front and door carry what, unless there is only one, which
// connection names.
func (w *Watcher) ways(all []client.Way) string {
	if len(all) == 0 || len(all) == 1 && !all[0].Gateway {
		return ""
	}
	text := ""
	for _, way := range all {
		one := w.Out.Text("%s carries %d", w.name(way), way.Tunnels)
		if text != "" {
			one = w.Out.Text("%s and %s", text, one)
		}
		text = one
	}
	return text
}

// name is the number of a front, where there are several, and its door if that is not
// the usual one.
func (w *Watcher) name(way client.Way) string {
	switch {
	case !w.several:
		return "the gateway door"
	case way.Gateway:
		return w.Out.Text("%s (gateway door)", w.front(way.Front))
	}
	return w.front(way.Front)
}

// front names a front.
func (w *Watcher) front(number int) string { return frontName(number, w.Fronts) }

// frontName is the number of a front, from 1, and whether it came after a link of so many; 0: it is not known of how
// many.
func frontName(number, ofLink int) string {
	if ofLink > 0 && number >= ofLink {
		return fmt.Sprintf("front %d, which came later", number+1)
	}
	return fmt.Sprintf("front %d", number+1)
}

// hear notes what the origin has told of fronts, and says that it is something new.
func (w *Watcher) hear(s client.Status) {
	w.several = w.Fronts > 1 || s.Later > 0
	if s.List == w.list {
		return
	}
	if w.list = s.List; s.List == 0 {
		w.Out.Step(term.Warned, 0, "The list of fronts that came later has expired")
		return
	}
	w.Out.Step(term.Good, 0, "There is a list of fronts that came later than the link, with %s", term.Count(s.Later, "new front"))
}

// endShown is how long an end is worth telling.
const endShown = 10 * time.Minute

// lastEnd says why a carrier ended lately that somebody needed.
func (w *Watcher) lastEnd(e client.LastEnd, now time.Time) string {
	if e.Cause == 0 || e.Cause == client.EndedHere || now.Sub(e.At) > endShown {
		return ""
	}
	if w.several {
		return w.Out.Text("last carrier by %s ended after %s: %s", w.front(e.Front), term.Span(e.Lived), e.Cause.String())
	}
	return w.Out.Text("last carrier ended after %s: %s", term.Span(e.Lived), e.Cause.String())
}
