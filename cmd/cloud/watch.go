package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// watch follows CloudFormation's work on one stack and the stacks in it.
type watch struct {
	*cloud
	root   string
	since  time.Time            // what happened until then is of no interest
	open   map[string]bool      // the stacks that are being worked on, by id
	opened int                  // how often one was added to open
	seen   map[string]bool      // the events that were told, by id
	began  map[string]time.Time // when work on a part began, by stack and name
	slow   map[string]event     // the parts that are waited for and take minutes
	heard  bool                 // whether something was said of the root itself
	first  *event               // the failure that the others follow from
	start  time.Time
	spoken time.Time
}

const (
	pollEvery  = 5 * time.Second
	patience   = 2 * time.Minute // how long a log without a live line may stay silent
	watchLimit = 2 * time.Hour   // CloudFormation gives up before
	maxSilence = time.Minute     // until CloudFormation says something of work that was begun
	maxMisses  = 5               // questions in a row that may fail
)

// follow tells what CloudFormation does after since, until the stack rests.
func (c *cloud) follow(ctx context.Context, id string, since time.Time) (stack, error) {
	now := time.Now()
	w := &watch{cloud: c, root: id, since: since, start: now, spoken: now, open: map[string]bool{id: true},
		seen: map[string]bool{}, began: map[string]time.Time{}, slow: map[string]event{}}
	defer c.show("")
	ctx, cancel := context.WithTimeout(ctx, watchLimit)
	defer cancel()
	for misses := 0; ; {
		s, err := w.poll(ctx)
		switch {
		case err == nil && w.rests(s):
			return s, w.outcome(s)
		case err == nil:
			misses = 0
		case ctx.Err() != nil || misses == maxMisses:
			return s, err
		default:
			misses++ // a network may fail for a moment; what is watched goes on
		}
		w.waiting()
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}

// rests is false while the status may still be that of before the work.
func (w *watch) rests(s stack) bool {
	switch conditionOf(s.Status) {
	case busy:
		return false
	case absent:
		return true
	}
	return w.heard || time.Since(w.start) > maxSilence
}

// poll asks for the status before the events, so that none is missed when the
// status is the last.
func (w *watch) poll(ctx context.Context) (stack, error) {
	s, err := w.describe(ctx, w.root)
	if err != nil {
		return s, err
	}
	for before := -1; before < w.opened; { // once more for stacks that were met on the way
		before = w.opened
		for id := range w.open {
			all, err := w.events(ctx, id, w.since)
			if err != nil {
				return s, err
			}
			for _, e := range all {
				w.hear(e)
			}
		}
	}
	return s, nil
}

// hear tells an event, once.
func (w *watch) hear(e event) {
	if w.seen[e.ID] {
		return
	}
	w.seen[e.ID] = true
	w.heard = w.heard || e.PhysicalID == w.root
	if e.Type == "AWS::CloudFormation::Stack" && e.PhysicalID != "" && e.PhysicalID != w.root {
		w.hearNested(e)
	}
	switch {
	case e.fails():
		w.failed(e)
	case e.own():
	case e.begins():
		w.begins(e)
	case e.ends():
		w.ends(e)
	}
}

// hearNested keeps the list of stacks to ask. Its own end is the last event of
// a stack.
func (w *watch) hearNested(e event) {
	if e.begins() && !e.own() {
		w.open[e.PhysicalID] = true
		w.opened++
	} else if e.own() && !e.begins() {
		delete(w.open, e.StackID)
	}
}

func (w *watch) begins(e event) {
	key := e.StackID + e.LogicalID
	if _, ok := w.began[key]; ok {
		return
	}
	w.began[key] = e.At
	p := parts[e.Type]
	if usual := p.usual(e.removing()); usual >= worthTelling {
		w.slow[key] = e
		w.line("…", 0, fmt.Sprintf("%s%s: usually %s", verb(e, "removing ", "updating "), p.name, tookText(usual)))
	}
}

func (w *watch) ends(e event) {
	key := e.StackID + e.LogicalID
	began, ok := w.began[key]
	delete(w.began, key)
	delete(w.slow, key)
	if p := parts[e.Type]; p.usual(e.removing()) > 0 && ok {
		w.line("✓", e.At.Sub(began), verb(e, "removed: ", "updated: ")+p.name)
		w.spoken = time.Now()
	}
}

// verb goes before a part that is not being made.
func verb(e event, removing, updating string) string {
	switch {
	case e.removing():
		return removing
	case strings.HasPrefix(e.Status, "UPDATE_"):
		return updating
	}
	return ""
}

func (w *watch) failed(e event) {
	delete(w.slow, e.StackID+e.LogicalID)
	if e.echo() || e.Reason == "" {
		return
	}
	if w.first == nil {
		w.first = &e
	}
	w.line("✗", 0, fmt.Sprintf("%s: %s", e.LogicalID, e.Reason))
}

// waiting says what is waited for: below the lines, or every now and then as
// one of them.
func (w *watch) waiting() {
	text := "CloudFormation is at work"
	for _, e := range w.slow {
		p := parts[e.Type]
		text = fmt.Sprintf("waiting for: %s (usually %s)", p.name, tookText(p.usual(e.removing())))
	}
	elapsed := tookText(time.Since(w.start))
	w.show(fmt.Sprintf("… %s  %s", elapsed, text))
	if !w.live && time.Since(w.spoken) >= patience {
		w.line("…", 0, elapsed+" so far, "+text)
		w.spoken = time.Now()
	}
}

// outcome is nil if what was begun is done.
func (w *watch) outcome(s stack) error {
	done := strings.HasSuffix(s.Status, "_COMPLETE") && !strings.Contains(s.Status, "ROLLBACK")
	if done || s.Status == "" {
		return nil
	}
	reason := s.Reason
	if w.first != nil {
		reason = w.first.LogicalID + ": " + w.first.Reason
	}
	return w.says(fmt.Sprintf("%s (%s)", inWords(s.Status), strings.TrimSpace(reason)))
}
