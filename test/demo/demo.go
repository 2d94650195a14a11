// Package demo shows what a relay does, with the stand-in: what each hop takes,
// and chat and media that go on while every carrier is cut.
package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"culvert/internal/term"
	"culvert/test/local"
)

// What a demonstration moves: enough for figures, and done in seconds.
const (
	usualSize = 64 << 20         // bytes of media each way
	messages  = 300              // chat messages one after another
	limit     = 60 * time.Second // for all of it, on the slowest of machines
)

// Demo is one demonstration of a relay with a stand-in, to a person.
type Demo struct {
	Relay *local.Relay
	Out   *term.Console
	Size  int64 // bytes of media each way; 0: 64 MiB
}

// Err is what every error of a demonstration wraps.
var Err = errors.New("the demonstration failed")

// Run fails if a byte was wrong or a connection of the app's broke.
func (d *Demo) Run(ctx context.Context) error {
	if d.Size == 0 {
		d.Size = usualSize
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := d.hops(ctx); err != nil {
		return fmt.Errorf("%w: %w", Err, err)
	}
	if err := d.chat(ctx); err != nil {
		return fmt.Errorf("%w: chat: %w", Err, err)
	}
	beside := d.chatBeside(ctx)
	down, up, err := d.media(ctx)
	talk := beside.end()
	if err != nil {
		return fmt.Errorf("%w: media: %w", Err, err)
	}
	if talk.err != nil {
		return fmt.Errorf("%w: chat beside media: %w", Err, talk.err)
	}
	d.verdict(down, up, talk)
	return nil
}

func (d *Demo) verdict(down, up *watched, talk exchange) {
	fmt.Fprintf(d.Out, "\nOne chat connection stayed open all the while: %s answered,\n"+
		"half of them within %s, the slowest within %s.\n\n",
		term.Count(len(talk.trips), "message"), term.Took(percentile(talk.trips, 50)), term.Took(percentile(talk.trips, 100)))
	d.Out.Step(term.Good, 0, "All bytes are right: %s down, %s up.", term.Size(uint64(down.seen)), term.Size(uint64(up.seen)))
	d.Out.Step(term.Good, 0, "Every carrier was cut %d times during the download and %d times during the upload. "+
		"The app's connections noticed nothing.", down.cuts, up.cuts)
}

// percentile is the smallest of all times that p percent of them do not exceed.
func percentile(all []time.Duration, p int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[max((len(sorted)*p+99)/100, 1)-1]
}

// row writes a line of a table: a name and right-aligned cells.
func (d *Demo) row(name string, cells ...string) {
	fmt.Fprintf(d.Out, "  %-26s", name)
	for _, c := range cells {
		fmt.Fprintf(d.Out, " %11s", c)
	}
	fmt.Fprintln(d.Out)
}

// none is an empty cell.
const none = "–"
