package nearend

import (
	"fmt"
	"strings"
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
	var texts []string
	for _, way := range all {
		texts = append(texts, fmt.Sprintf("%s carries %d", w.name(way), way.Tunnels))
	}
	return strings.Join(texts, " and ")
}

// name is the number of a front, where there are several, and its door if that is not
// the usual one.
func (w *Watcher) name(way client.Way) string {
	switch {
	case w.Fronts < 2:
		return "the gateway door"
	case way.Gateway:
		return fmt.Sprintf("front %d (gateway door)", way.Front+1)
	}
	return fmt.Sprintf("front %d", way.Front+1)
}

// endShown is how long an end is worth telling.
const endShown = 10 * time.Minute

// lastEnd says why a carrier ended lately that somebody needed.
func (w *Watcher) lastEnd(e client.LastEnd, now time.Time) string {
	if e.Cause == 0 || e.Cause == client.EndedHere || now.Sub(e.At) > endShown {
		return ""
	}
	front := ""
	if w.Fronts > 1 {
		front = fmt.Sprintf(" by front %d", e.Front+1)
	}
	return fmt.Sprintf("last carrier%s ended after %s: %s", front, term.Span(e.Lived), e.Cause)
}
