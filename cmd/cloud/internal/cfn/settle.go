package cfn

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"culvert/cmd/cloud/internal/advice"
	"culvert/internal/term"
)

// Settle brings the stack into a state from which it can be created or
// changed, whatever was left half way, and gives that state.
func (c *Client) Settle(ctx context.Context) (Stack, error) {
	for range 6 { // each pass leaves one state; no way through them is longer
		s, err := c.Describe(ctx, c.Target.Stack)
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
	return Stack{}, advice.New(c.Fill("Look at its events: AWS console, CloudFormation, {stack}. Or remove it: make destroy STACK={stack}"),
		"the stack comes to no rest")
}

// wayOut says what is done about a state, and gives it; nil if the state is
// one to start from.
func (c *Client) wayOut(s Stack) func(context.Context, Stack) error {
	switch s.Condition() {
	case Busy:
		c.Step(term.Warned, 0, "CloudFormation is already at work on the stack (%s), begun here before or by somebody else: waiting for it first.", s.Status)
		return c.Await
	case Failed:
		c.Step(term.Warned, 0, "The stack's creation failed before (%s). Nothing in it was ever in use: removing what is left, then starting anew.", s.Status)
		return c.Remove
	case Broken:
		c.Step(term.Warned, 0, "The stack's deletion failed half way before (%s): removing the rest first.", s.Status)
		return c.Remove
	case Stuck:
		c.Step(term.Warned, 0, "A change failed before, and undoing it too (%s): CloudFormation tries once more to undo it.", s.Status)
		return c.unstick
	case Halted:
		c.Step(term.Warned, 0, "A change failed before and was left half done (%s): undoing it first.", s.Status)
		return c.undo("rollback-stack")
	}
	return nil
}

// Await waits for work that is under way. How it ended is judged by the state
// that it leaves, so that the only error is the context's.
func (c *Client) Await(ctx context.Context, s Stack) error {
	_, err := c.follow(ctx, s.ID, s.changed().Add(-time.Second))
	if err != nil && ctx.Err() == nil {
		c.Hint("%v", err)
	}
	return ctx.Err()
}

// changed is when work on the stack last began.
func (s Stack) changed() time.Time {
	return slices.MaxFunc([]time.Time{s.Created, s.Updated, s.Deleted}, time.Time.Compare)
}

// undo takes back a failed change.
func (c *Client) undo(how string, more ...string) func(context.Context, Stack) error {
	return func(ctx context.Context, s Stack) error {
		now, err := c.order(ctx, s.ID, append([]string{how, "--stack-name", s.ID}, more...)...)
		if now.Condition() == Ready || ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s: %w", how, err)
	}
}

// unstick has CloudFormation try once more to undo a change. Where an instance
// does not answer, undoing its installation fails as the installation did: then
// that is left out, so that another instance can take its place.
func (c *Client) unstick(ctx context.Context, s Stack) error {
	err := c.undo("continue-update-rollback")(ctx, s)
	if err == nil || ctx.Err() != nil {
		return err
	}
	skip, err2 := c.failedInstalls(ctx, s.ID)
	if err2 != nil || len(skip) == 0 {
		return err
	}
	c.Step(term.Warned, 0, "The instance does not take what is installed on it: undoing all the rest. Let another take its place afterwards: %s, or a if b is in use.",
		c.Fill("make deploy STACK={stack} SET=SoloInstance=b"))
	return c.undo("continue-update-rollback", append([]string{"--resources-to-skip"}, skip...)...)(ctx, s)
}

// failedInstalls names what failed on instances, as continue-update-rollback
// wants it: the nested stack's name, a dot, the resource's.
func (c *Client) failedInstalls(ctx context.Context, id string) (all []string, err error) {
	outer, err := c.contents(ctx, id)
	for _, r := range outer {
		_, name, _ := strings.Cut(r.PhysicalID, ":stack/")
		name, _, _ = strings.Cut(name, "/")
		if !r.nested() || !r.failed() || name == "" || err != nil {
			continue
		}
		var inner []Resource
		inner, err = c.contents(ctx, r.PhysicalID)
		for _, in := range inner {
			if in.failed() && in.LogicalID == "Install" {
				all = append(all, name+"."+in.LogicalID)
			}
		}
	}
	return all, err
}

func (r Resource) failed() bool {
	return slices.Contains([]string{"UPDATE_FAILED", "UPDATE_ROLLBACK_FAILED"}, r.Status)
}
