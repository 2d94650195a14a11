package main

import (
	"context"
	"strings"
	"time"
)

// stack is what CloudFormation says of one.
type stack struct {
	ID         string    `json:"StackId"`
	Name       string    `json:"StackName"`
	Status     string    `json:"StackStatus"`
	Reason     string    `json:"StackStatusReason"`
	Created    time.Time `json:"CreationTime"`
	Updated    time.Time `json:"LastUpdatedTime"`
	Deleted    time.Time `json:"DeletionTime"`
	Parameters []parameter
	Outputs    []struct{ OutputKey, OutputValue string }
}

type parameter struct {
	ParameterKey     string
	ParameterValue   string `json:",omitempty"`
	UsePreviousValue bool   `json:",omitempty"`
}

// describe gives an empty status for a stack that is not there. After a
// deletion only its id, not its name, still finds it.
func (c *cloud) describe(ctx context.Context, name string) (stack, error) {
	var answer struct{ Stacks []stack }
	err := c.aws(ctx, &answer, "cloudformation", "describe-stacks", "--stack-name", name)
	switch {
	case err != nil && strings.Contains(err.Error(), "does not exist"):
		return stack{}, nil
	case err != nil:
		return stack{}, err
	case len(answer.Stacks) == 0:
		return stack{}, nil
	}
	return answer.Stacks[0], nil
}

// output is "" for one that the stack does not have.
func (s stack) output(key string) string {
	for _, o := range s.Outputs {
		if o.OutputKey == key {
			return o.OutputValue
		}
	}
	return ""
}

func (s stack) parameter(key string) string {
	for _, p := range s.Parameters {
		if p.ParameterKey == key {
			return p.ParameterValue
		}
	}
	return ""
}

// resource is one part of a stack.
type resource struct {
	LogicalID  string `json:"LogicalResourceId"`
	PhysicalID string `json:"PhysicalResourceId"`
	Type       string `json:"ResourceType"`
	Status     string `json:"ResourceStatus"`
}

// nested says whether r is a stack in the stack.
func (r resource) nested() bool { return r.Type == "AWS::CloudFormation::Stack" }

// contents lists what is in a stack itself.
func (c *cloud) contents(ctx context.Context, name string) ([]resource, error) {
	var answer struct{ StackResourceSummaries []resource }
	err := c.aws(ctx, &answer, "cloudformation", "list-stack-resources", "--stack-name", name)
	return answer.StackResourceSummaries, err
}

// resources lists what is in a stack and the stacks in it.
func (c *cloud) resources(ctx context.Context, name string) (all []resource, err error) {
	outer, err := c.contents(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, r := range outer {
		if r.Status == "DELETE_COMPLETE" {
			continue
		}
		all = append(all, r)
		if !r.nested() || r.PhysicalID == "" {
			continue
		}
		inner, err := c.resources(ctx, r.PhysicalID)
		if err != nil {
			return nil, err
		}
		all = append(all, inner...)
	}
	return all, nil
}

// of gives the physical ids of a type.
func of(all []resource, kind string) (ids []string) {
	for _, r := range all {
		if r.Type == kind && r.PhysicalID != "" {
			ids = append(ids, r.PhysicalID)
		}
	}
	return ids
}

// standing signs in and gives the stack, which must have been deployed; it may
// be changing just now.
func (c *cloud) standing(ctx context.Context) (stack, error) {
	if err := c.needTools(ctx, false); err != nil {
		return stack{}, err
	}
	if err := c.signIn(ctx); err != nil {
		return stack{}, err
	}
	s, err := c.describe(ctx, c.stack)
	if err == nil && len(s.Outputs) == 0 {
		err = c.notThere(s)
	}
	return s, err
}

// notThere says how to get a deployment.
func (c *cloud) notThere(s stack) error {
	if conditionOf(s.Status) == absent {
		return advise("Make it: make deploy. Or name another: STACK=name, REGION=name, PROFILE=name.",
			"there is no deployment %s in region %s", c.stack, c.region)
	}
	return advise("Run make deploy: it goes on from here.", "the deployment %s is not complete: %s", c.stack, inWords(s.Status))
}
