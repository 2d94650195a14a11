//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"culvert/test/censor/network"
)

// row is one line of what a network does, with what apps must meet there.
type row struct {
	name  string
	what  string
	short bool // part of the shortened form
	run   func(*trial) error
}

// finding is one figure beside its goal.
type finding struct {
	what, goal, figure string
	ok                 bool
}

// trial is a row that runs, or has run.
type trial struct {
	row
	options
	ctx      context.Context
	findings []finding
	inexact  []error
	err      error // it could not be run
	took     time.Duration
	log      strings.Builder
}

// runAll runs rows, some at once, and shows each when it has ended.
func runAll(ctx context.Context, wanted []row, o options) []*trial {
	trials := make([]*trial, len(wanted))
	slots := make(chan struct{}, max(1, o.parallel))
	var group sync.WaitGroup
	var out sync.Mutex
	for i, r := range wanted {
		t := &trial{row: r, options: o, ctx: ctx}
		trials[i] = t
		slots <- struct{}{}
		group.Go(func() {
			began := time.Now()
			t.err = t.run(t)
			t.took = time.Since(began)
			<-slots
			out.Lock()
			defer out.Unlock()
			fmt.Fprintf(os.Stderr, "%s: %.0f s\n%s", t.name, t.took.Seconds(), t.log.String())
		})
	}
	group.Wait()
	return trials
}

// span is how long something is tried: less in the shortened form.
func (t *trial) span(whole, short time.Duration) time.Duration {
	if t.options.short {
		return short
	}
	return whole
}

// within makes a world with a client, lets f use it, and notes what happened.
func (t *trial) within(set setting, f func(*world) error) error {
	w, err := newWorld(t.ctx, t.bin, set)
	defer func() {
		if t.verbose {
			t.tell(w)
		}
		w.close()
	}()
	if err == nil {
		err = w.connect()
	}
	if err == nil {
		err = f(w)
	}
	return errors.Join(err, t.ctx.Err())
}

// tell writes down what there is to look at.
func (t *trial) tell(w *world) {
	if w.path != nil {
		for _, f := range w.path.Flows() {
			closed := "open"
			if !f.Closed.IsZero() {
				closed = fmt.Sprintf("%.2f s", f.Closed.Sub(f.Began).Seconds())
			}
			fmt.Fprintf(&t.log, "  at %6.2f s to %s %q %s: up %d, down %d, %s\n", f.Began.Sub(w.began).Seconds(), f.Server.Addr(), f.Name,
				closed, f.Up.Payload, f.Down.Payload, f.Fate)
		}
	}
	if w.client != nil {
		t.log.WriteString(w.client.out.String())
	}
}

func (t *trial) add(f finding) { t.findings = append(t.findings, f) }

// seconds wants a time of at most so long.
func (t *trial) seconds(what string, got, most time.Duration, answered bool) {
	figure := fmt.Sprintf("%.2f s", got.Seconds())
	if !answered {
		figure = fmt.Sprintf("never within %.0f s", got.Seconds())
	}
	t.add(finding{what, fmt.Sprintf("< %s s", number(most.Seconds())), figure, answered && got < most})
}

// atMost wants a count of at most so many.
func (t *trial) atMost(what string, got, most float64, unit string) {
	t.add(finding{what, "≤ " + number(most) + unit, number(got) + unit, got <= most})
}

func (t *trial) atLeast(what string, got, least float64, unit string) {
	t.add(finding{what, "≥ " + number(least) + unit, number(got) + unit, got >= least})
}

// absent notes that the program cannot yet do what the row is about.
func (t *trial) absent(what, goal string) { t.add(finding{what, goal, "no such flag", false}) }

func number(f float64) string {
	if f == float64(int64(f)) {
		return fmt.Sprint(int64(f))
	}
	return fmt.Sprintf("%.2f", f)
}

// chat notes how questions were answered; a goal of 0 is none.
func (t *trial) chat(what string, c *chat, p50, p95, most time.Duration) {
	d := c.delays()
	if errors.Is(d.err, errInexact) {
		t.inexact = append(t.inexact, fmt.Errorf("%s: %w", what, d.err))
	}
	whole := d.never == 0 && d.err == nil
	note := ""
	if d.never > 0 {
		note = fmt.Sprintf(" (%d of %d never)", d.never, len(d.all))
	}
	if d.err != nil {
		note += " (cut off)"
	}
	for _, q := range []struct {
		name string
		part float64
		goal time.Duration
	}{{"p50", .5, p50}, {"p95", .95, p95}, {"max", 1, most}} {
		if got := d.quantile(q.part); q.goal > 0 {
			t.add(finding{what + " " + q.name, "≤ " + number(q.goal.Seconds()) + " s", fmt.Sprintf("%.2f s", got.Seconds()) + note,
				got <= q.goal && (whole || q.part < 1 && d.err == nil)})
		}
	}
}

// exact notes bytes of a transfer that were not those that were sent.
func (t *trial) exact(what string, x *transfer) {
	if err := x.inexact(); err != nil {
		t.inexact = append(t.inexact, fmt.Errorf("%s: %w", what, err))
	}
}

// moved notes how much came, of a transfer that has ended.
func (t *trial) moved(what string, x *transfer, least int64, within time.Duration) {
	t.exact(what, x)
	bytes, _ := x.progress()
	figure := fmt.Sprintf("%.0f kB", float64(bytes)/1e3)
	if x.err == nil {
		figure = fmt.Sprintf("all in %.1f s", x.took.Seconds())
	}
	t.add(finding{what, fmt.Sprintf("≥ %d kB in %.0f s", least/1000, within.Seconds()), figure, bytes >= least && x.took <= within+time.Second})
}

// ended wants a transfer to end well soon after a time.
func (t *trial) ended(what string, x *transfer, from time.Time, most time.Duration) {
	t.exact(what, x)
	took := x.began.Add(x.took).Sub(from)
	figure := fmt.Sprintf("%.2f s", took.Seconds())
	if x.err != nil {
		figure = fmt.Sprintf("failed after %.2f s: %v", took.Seconds(), x.err)
	}
	t.add(finding{what + " ends", fmt.Sprintf("< %s s", number(most.Seconds())), figure, x.err == nil && took < most})
}

// connections notes how many were made, and how many the client had at once.
func (t *trial) connections(what string, w *world, most int) {
	made, once := len(w.path.Flows()), w.mostSockets()
	figure := fmt.Sprintf("%d of %d made", once, made)
	if seen := w.sockets.seen; seen > once {
		figure = fmt.Sprintf("%d, %d in either of two looks, of %d made", once, seen, made)
	}
	t.add(finding{what + " connections at once", "≤ " + fmt.Sprint(most), figure, once <= most})
}

// after are the connections that were begun after a time.
func after(flows []network.Flow, at time.Time) (some []network.Flow) {
	for _, f := range flows {
		if !f.Began.Before(at) {
			some = append(some, f)
		}
	}
	return some
}

// busiest is the most connections that began within a span of time.
func busiest(flows []network.Flow, span time.Duration) (most int) {
	for i := range flows {
		n := 0
		for _, g := range flows[i:] {
			if g.Began.Sub(flows[i].Began) < span {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// to are the connections to a front.
func to(flows []network.Flow, f front) (some []network.Flow) {
	for _, g := range flows {
		if g.Server.Addr() == f.address {
			some = append(some, g)
		}
	}
	return some
}
