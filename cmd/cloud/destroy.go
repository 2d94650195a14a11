package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"culvert/cmd/cloud/internal/advice"
	"culvert/cmd/cloud/internal/cfn"
	"culvert/internal/term"
)

// destroy removes everything that costs money, and makes sure that it is gone.
func destroy(ctx context.Context, c *cloud) error {
	if err := c.begin(ctx, false); err != nil {
		return err
	}
	s, left, err := c.inventory(ctx)
	if err != nil {
		return err
	}
	if s.Condition() == cfn.Absent && len(left) == 0 {
		c.Step(term.Good, 0, "Nothing is left of %s in region %s: it costs nothing there", c.Stack, c.Region)
		c.Hint("If it was deployed elsewhere or under another name, it still stands: give REGION= and STACK= as you did then.")
		return nil
	}
	if !c.agrees("Delete all of this, for ever? All links end.") {
		return advice.New("To go ahead: make destroy YES=1", "nothing was deleted")
	}
	if err := c.demolish(ctx, s); err != nil {
		return err
	}
	return c.sweep(ctx)
}

// inventory shows what will be deleted.
func (c *cloud) inventory(ctx context.Context) (s cfn.Stack, left []leftover, err error) {
	var own []cfn.Resource
	if s, err = c.Describe(ctx, c.Stack); err != nil {
		return s, nil, err
	}
	if s.Condition() != cfn.Absent {
		if own, err = c.Resources(ctx, s.ID); err != nil {
			return s, nil, err
		}
	}
	if left, err = c.leftovers(ctx, own); err != nil || len(own)+len(left) == 0 {
		return s, left, err
	}
	c.Title("To delete")
	if len(own) > 0 {
		c.Hint("the stack %s, with %d parts, among them:\n%s", c.Stack, len(own), tally(own))
	}
	for _, l := range left {
		c.Hint("%s %s", l.kind, l.id)
	}
	return s, left, nil
}

// tally counts the parts that a volunteer has heard of.
func tally(all []cfn.Resource) string {
	n := map[string]int{}
	for _, r := range all {
		if name := cfn.NameOf(r.Type); name != "" {
			n[name]++
		}
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(n)) {
		lines = append(lines, fmt.Sprintf("  %3d  %s", n[name], name))
	}
	return strings.Join(lines, "\n")
}

// demolish deletes the stack.
func (c *cloud) demolish(ctx context.Context, s cfn.Stack) error {
	if s.Condition() == cfn.Absent {
		return nil
	}
	c.Title("Deleting (usually 15 to 40 min; pressing Ctrl-C does not stop it)")
	if s.Condition() == cfn.Busy {
		c.Step(term.Warned, 0, "CloudFormation is at work on the stack (%s): waiting for it first.", s.Status)
		if err := c.Await(ctx, s); err != nil {
			return err
		}
	}
	return c.Remove(ctx, s)
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
		c.Step(term.Good, 0, "Deleted: %s %s", l.kind, l.id)
	}
	if left, err = c.leftovers(ctx, nil); err != nil {
		return err
	}
	if len(left) > 0 {
		return advice.New("Run make destroy again in some minutes.", "%d things are still there, the first is %s %s", len(left), left[0].kind, left[0].id)
	}
	c.Step(term.Good, 0, "Nothing is left of %s in region %s: it costs nothing from now on", c.Stack, c.Region)
	c.Hint("Traffic of this month is still on its bill. Links that were handed out are void.")
	return nil
}

// leftover is something of ours outside the stack, or that a failed deletion
// left.
type leftover struct {
	kind, id string
	discard  []string // the aws command that deletes id, which follows it
}

// store is a kind of thing that a stack leaves. Its names are begin, the
// stack's name, a slash, and more.
type store struct {
	kind, begin string
	list        []string // the aws command that lists the names
	discard     []string
}

// stores are all kinds, with names that begin so for one stack and no other.
// A log group's last lines may come after its deletion. Secrets are there if a
// deletion failed; those that wait to be deleted cost nothing and are not
// listed.
var stores = []store{
	{"log group", "/culvert/", []string{"logs", "describe-log-groups", "--query", "logGroups[].logGroupName"},
		[]string{"logs", "delete-log-group", "--log-group-name"}},
	{"parameter", "/culvert/", []string{"ssm", "describe-parameters", "--query", "Parameters[].Name"},
		[]string{"ssm", "delete-parameter", "--name"}},
	{"secret", "", []string{"secretsmanager", "list-secrets", "--query", "SecretList[].Name"},
		[]string{"secretsmanager", "delete-secret", "--force-delete-without-recovery", "--secret-id"}},
}

// leftovers lists what is there beside the stack's own parts.
func (c *cloud) leftovers(ctx context.Context, own []cfn.Resource) (all []leftover, err error) {
	for _, s := range stores {
		var names []string
		if err := c.Call(ctx, &names, s.list...); err != nil {
			return nil, err
		}
		for _, name := range names {
			ours := slices.ContainsFunc(own, func(r cfn.Resource) bool { return strings.Contains(r.PhysicalID, name) })
			if !ours && strings.HasPrefix(name, s.begin+c.Stack+"/") {
				all = append(all, leftover{s.kind, name, s.discard})
			}
		}
	}
	there, err := c.haveBucket(ctx)
	if there {
		all = append(all, leftover{kind: "bucket of uploads", id: c.bucket()})
	}
	return all, err
}

// discard deletes l.
func (c *cloud) discard(ctx context.Context, l leftover) error {
	if l.discard == nil {
		return c.Call(ctx, nil, "s3", "rb", "s3://"+l.id, "--force")
	}
	return c.Call(ctx, nil, append(l.discard[:len(l.discard):len(l.discard)], l.id)...)
}
