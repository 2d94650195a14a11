package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"culvert/internal/term"
)

// What a demonstration moves: enough for figures, and done in seconds.
const (
	demoSize     = 64 << 20         // bytes of media each way
	demoMessages = 300              // chat messages one after another
	demoLimit    = 60 * time.Second // for all of it, on the slowest of machines
)

// demo shows what the relay does, with the stand-in.
type demo struct {
	relay *localRelay
	out   *term.Console
	size  int64 // bytes of media each way
}

var errDemo = errors.New("the demonstration failed")

// run fails if a byte was wrong or a connection of the app's broke.
func (d *demo) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoLimit)
	defer cancel()
	if err := d.hops(ctx); err != nil {
		return fmt.Errorf("%w: %w", errDemo, err)
	}
	if err := d.chat(ctx); err != nil {
		return fmt.Errorf("%w: chat: %w", errDemo, err)
	}
	beside := d.chatBeside(ctx)
	down, up, err := d.media(ctx)
	talk := beside.end()
	if err != nil {
		return fmt.Errorf("%w: media: %w", errDemo, err)
	}
	if talk.err != nil {
		return fmt.Errorf("%w: chat beside media: %w", errDemo, talk.err)
	}
	d.verdict(down, up, talk)
	return nil
}

func (d *demo) verdict(down, up transfer, talk exchange) {
	fmt.Fprintf(d.out, "\nOne chat connection stayed open all the while: %s answered,\n"+
		"half of them within %s, the slowest within %s.\n\n",
		term.Count(len(talk.trips), "message"), term.Took(term.Percentile(talk.trips, 50)), term.Took(term.Percentile(talk.trips, 100)))
	d.out.Step(term.Good, 0, "All bytes are right: %s down, %s up.", term.Size(uint64(down.bytes)), term.Size(uint64(up.bytes)))
	d.out.Step(term.Good, 0, "Every carrier was cut %d times during the download and %d times during", down.cuts, up.cuts)
	fmt.Fprintln(d.out, "  the upload. The app's connections noticed nothing.")
}

// row writes a line of a table: a name and right-aligned cells.
func (d *demo) row(name string, cells ...string) {
	fmt.Fprintf(d.out, "  %-26s", name)
	for _, c := range cells {
		fmt.Fprintf(d.out, " %11s", c)
	}
	fmt.Fprintln(d.out)
}

// none is an empty cell.
const none = "–"
