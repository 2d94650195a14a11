package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// destroy removes everything that costs money, and makes sure that it is gone.
func destroy(ctx context.Context, c *cloud) error {
	if err := c.needTools(ctx, false); err != nil {
		return err
	}
	if err := c.signIn(ctx); err != nil {
		return err
	}
	s, left, err := c.inventory(ctx)
	if err != nil {
		return err
	}
	if conditionOf(s.Status) == absent && len(left) == 0 {
		c.good("Nothing is left of %s in region %s: it costs nothing there", c.stack, c.region)
		c.hint("If it was deployed elsewhere or under another name, it still stands: give REGION= and STACK= as you did then.")
		return nil
	}
	if !c.ask("Delete all of this, for ever? All links end.") {
		return advise("To go ahead: make destroy YES=1", "nothing was deleted")
	}
	if err := c.demolish(ctx, s); err != nil {
		return err
	}
	return c.sweep(ctx)
}

// inventory shows what will be deleted.
func (c *cloud) inventory(ctx context.Context) (s stack, left []leftover, err error) {
	var own []resource
	if s, err = c.describe(ctx, c.stack); err != nil {
		return s, nil, err
	}
	if conditionOf(s.Status) != absent {
		if own, err = c.resources(ctx, s.ID); err != nil {
			return s, nil, err
		}
	}
	if left, err = c.leftovers(ctx, own); err != nil || len(own)+len(left) == 0 {
		return s, left, err
	}
	c.title("To delete")
	if len(own) > 0 {
		c.hint("the stack %s, with %d parts, among them:\n%s", c.stack, len(own), tally(own))
	}
	for _, l := range left {
		c.hint("%s %s", l.kind, l.id)
	}
	return s, left, nil
}

// tally counts the parts that a volunteer has heard of.
func tally(all []resource) (text string) {
	n := map[string]int{}
	for _, r := range all {
		if p := parts[r.Type]; p.name != "" {
			n[p.name]++
		}
	}
	for i, name := range slices.Sorted(maps.Keys(n)) {
		if i > 0 {
			text += "\n"
		}
		text += fmt.Sprintf("  %3d  %s", n[name], name)
	}
	return text
}

// AWS lets go of the functions' and CloudFront's interfaces in the network
// only after a while, and a deletion that came too early fails: it is tried
// again, and goes on where it stopped.
const (
	deletions     = 4
	deletionPause = 5 * time.Minute
)

// demolish deletes the stack.
func (c *cloud) demolish(ctx context.Context, s stack) error {
	if conditionOf(s.Status) == absent {
		return nil
	}
	c.title("Deleting (usually 15 to 40 min; pressing Ctrl-C does not stop it)")
	if conditionOf(s.Status) == busy {
		c.note("CloudFormation is at work on the stack (%s): waiting for it first.", s.Status)
		if err := c.await(ctx, s); err != nil {
			return err
		}
	}
	for try := 1; ; try++ {
		err := c.remove(ctx, s)
		if err == nil || ctx.Err() != nil || try == deletions {
			return err
		}
		c.report(err)
		c.note("Trying again in %s.", tookText(deletionPause))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(deletionPause):
		}
	}
}

// sweep deletes what a deleted stack leaves, and looks again.
func (c *cloud) sweep(ctx context.Context) error {
	left, err := c.leftovers(ctx, nil)
	if err != nil {
		return err
	}
	for _, l := range left {
		if err := c.discard(ctx, l); err != nil {
			return err
		}
		c.good("Deleted: %s %s", l.kind, l.id)
	}
	if left, err = c.leftovers(ctx, nil); err != nil {
		return err
	}
	if len(left) > 0 {
		return advise("Run make destroy again in some minutes.", "%d things are still there, the first is %s %s", len(left), left[0].kind, left[0].id)
	}
	c.good("Nothing is left of %s in region %s: it costs nothing from now on", c.stack, c.region)
	c.hint("Traffic of this month is still on its bill. Links that were handed out are void.")
	return nil
}
