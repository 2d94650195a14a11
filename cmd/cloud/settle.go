package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// settle brings the stack into a state from which it can be created or
// changed, whatever was left half way, and gives that state.
func (c *cloud) settle(ctx context.Context) (stack, error) {
	for range 6 { // each pass leaves one state; no way through them is longer
		s, err := c.describe(ctx, c.stack)
		if err != nil {
			return s, err
		}
		next := c.wayOut(s)
		if next == nil {
			return s, nil
		}
		if err := next(ctx, s); err != nil {
			return s, err
		}
	}
	return stack{}, advise(c.fill("Look at its events: AWS console, CloudFormation, {stack}. Or remove it: make destroy STACK={stack}"),
		"the stack comes to no rest")
}

// wayOut says what is done about a state, and gives it; nil if the state is
// one to start from.
func (c *cloud) wayOut(s stack) func(context.Context, stack) error {
	switch conditionOf(s.Status) {
	case busy:
		c.note("CloudFormation is already at work on the stack (%s), begun here before or by somebody else: waiting for it first.", s.Status)
		return c.await
	case failed:
		c.note("The stack's creation failed before (%s). Nothing in it was ever in use: removing what is left, then starting anew.", s.Status)
		return c.remove
	case broken:
		c.note("The stack's deletion failed half way before (%s): removing the rest first.", s.Status)
		return c.remove
	case stuck:
		c.note("A change failed before, and undoing it too (%s): CloudFormation tries once more to undo it.", s.Status)
		return c.unstick
	case halted:
		c.note("A change failed before and was left half done (%s): undoing it first.", s.Status)
		return c.undo("rollback-stack")
	}
	return nil
}

// await waits for work that is under way. How it ends is judged by the state
// it leaves.
func (c *cloud) await(ctx context.Context, s stack) error {
	_, err := c.follow(ctx, s.ID, s.changed().Add(-time.Second))
	return c.unlessInterrupted(ctx, err)
}

// unlessInterrupted drops err if the state that the stack is in now says it.
func (c *cloud) unlessInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		c.hint("%v", err)
	}
	return nil
}

// changed is when work on the stack last began.
func (s stack) changed() time.Time {
	return slices.MaxFunc([]time.Time{s.Created, s.Updated, s.Deleted}, time.Time.Compare)
}

// remove deletes the stack and everything in it.
func (c *cloud) remove(ctx context.Context, s stack) error {
	since, err := c.lastEvent(ctx, s.ID)
	if err != nil {
		return err
	}
	if err := c.aws(ctx, nil, "cloudformation", "delete-stack", "--stack-name", s.ID); err != nil {
		return err
	}
	_, err = c.follow(ctx, s.ID, since)
	return err
}

// undo takes back a failed change.
func (c *cloud) undo(how string, more ...string) func(context.Context, stack) error {
	return func(ctx context.Context, s stack) error {
		since, err := c.lastEvent(ctx, s.ID)
		if err != nil {
			return err
		}
		if err := c.aws(ctx, nil, append([]string{"cloudformation", how, "--stack-name", s.ID}, more...)...); err != nil {
			return err
		}
		now, err := c.follow(ctx, s.ID, since)
		if conditionOf(now.Status) == ready || ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s: %w", how, err)
	}
}
