package main

import (
	"context"
	"slices"
	"strings"
)

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
func (c *cloud) leftovers(ctx context.Context, own []resource) (all []leftover, err error) {
	for _, s := range stores {
		var names []string
		if err := c.aws(ctx, &names, s.list...); err != nil {
			return nil, err
		}
		for _, name := range names {
			if !owns(own, name) && strings.HasPrefix(name, s.begin+c.stack+"/") {
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

func (c *cloud) discard(ctx context.Context, l leftover) error {
	if l.discard == nil {
		return c.aws(ctx, nil, "s3", "rb", "s3://"+l.id, "--force")
	}
	return c.aws(ctx, nil, append(l.discard[:len(l.discard):len(l.discard)], l.id)...)
}

func owns(own []resource, name string) bool {
	return slices.ContainsFunc(own, func(r resource) bool { return strings.Contains(r.PhysicalID, name) })
}
