package main

import (
	"context"
	"slices"
	"strings"
)

// unstick has CloudFormation try once more to undo a change. Where an instance
// does not answer, undoing its installation fails as the installation did: then
// that is left out, so that another instance can take its place.
func (c *cloud) unstick(ctx context.Context, s stack) error {
	err := c.undo("continue-update-rollback")(ctx, s)
	if err == nil || ctx.Err() != nil {
		return err
	}
	skip, err2 := c.failedInstalls(ctx, s.ID)
	if err2 != nil || len(skip) == 0 {
		return err
	}
	c.note("The instance does not take what is installed on it: undoing all the rest. Let another take its place afterwards: %s, or a if b is in use.",
		c.fill("make deploy STACK={stack} SET=SoloInstance=b"))
	return c.undo("continue-update-rollback", append([]string{"--resources-to-skip"}, skip...)...)(ctx, s)
}

// failedInstalls names what failed on instances, as continue-update-rollback
// wants it: the nested stack's name, a dot, the resource's.
func (c *cloud) failedInstalls(ctx context.Context, id string) (all []string, err error) {
	outer, err := c.contents(ctx, id)
	for _, r := range outer {
		_, name, _ := strings.Cut(r.PhysicalID, ":stack/")
		name, _, _ = strings.Cut(name, "/")
		if !r.nested() || !r.failed() || name == "" || err != nil {
			continue
		}
		var inner []resource
		inner, err = c.contents(ctx, r.PhysicalID)
		for _, in := range inner {
			if in.failed() && in.LogicalID == "Install" {
				all = append(all, name+"."+in.LogicalID)
			}
		}
	}
	return all, err
}

func (r resource) failed() bool {
	return slices.Contains([]string{"UPDATE_FAILED", "UPDATE_ROLLBACK_FAILED"}, r.Status)
}
