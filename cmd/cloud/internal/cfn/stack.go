// Package cfn works with CloudFormation by the AWS command line: it brings a
// stack from whatever state it is found in to the one that is wanted, and tells
// on the console what happens meanwhile.
package cfn

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"culvert/cmd/cloud/internal/advice"
	"culvert/internal/aws"
	"culvert/internal/term"
)

// Client is CloudFormation in the account and region of a command line, and the
// console on which it is told what CloudFormation does. Errors that AWS causes
// may be explained by package advice. Its methods that change or follow a stack
// take up to two hours, and end early with their context; CloudFormation then
// goes on by itself.
type Client struct {
	*aws.CLI
	*term.Console
}

// explained is an error of AWS's words, with advice if they are known.
func (c *Client) explained(text string) error { return advice.Explain(*c.Target, errors.New(text)) }

// Stack is what CloudFormation says of a stack. Its zero value is a stack that
// is not there.
type Stack struct {
	ID         string    `json:"StackId"`
	Name       string    `json:"StackName"`
	Status     string    `json:"StackStatus"`
	Reason     string    `json:"StackStatusReason"`
	Created    time.Time `json:"CreationTime"`
	Updated    time.Time `json:"LastUpdatedTime"`
	Deleted    time.Time `json:"DeletionTime"`
	Parameters []Parameter
	Outputs    []struct{ OutputKey, OutputValue string }
}

// Parameter is one of the template's: a value to deploy with, or that a stack has.
type Parameter struct {
	ParameterKey     string
	ParameterValue   string `json:",omitempty"`
	UsePreviousValue bool   `json:",omitempty"`
}

// Describe finds a stack by name or id; for one that is not there it returns the
// zero Stack. After a deletion only the id, and not the name, still finds it.
func (c *Client) Describe(ctx context.Context, name string) (Stack, error) {
	var answer struct{ Stacks []Stack }
	err := c.Call(ctx, &answer, "cloudformation", "describe-stacks", "--stack-name", name)
	if err != nil && strings.Contains(err.Error(), "does not exist") {
		return Stack{}, nil
	}
	if err != nil || len(answer.Stacks) == 0 {
		return Stack{}, err
	}
	return answer.Stacks[0], nil
}

// Output is "" for an output that the stack does not have.
func (s Stack) Output(key string) string {
	for _, o := range s.Outputs {
		if o.OutputKey == key {
			return o.OutputValue
		}
	}
	return ""
}

// Parameter is "" for a parameter that the stack does not have.
func (s Stack) Parameter(key string) string {
	for _, p := range s.Parameters {
		if p.ParameterKey == key {
			return p.ParameterValue
		}
	}
	return ""
}

// Has says whether the stack has a value for the parameter.
func (s Stack) Has(key string) bool {
	return slices.ContainsFunc(s.Parameters, func(p Parameter) bool { return p.ParameterKey == key })
}

// Resource is one part of a stack.
type Resource struct {
	LogicalID  string `json:"LogicalResourceId"`
	PhysicalID string `json:"PhysicalResourceId"`
	Type       string `json:"ResourceType"`
	Status     string `json:"ResourceStatus"`
}

// nested says whether r is a stack in the stack.
func (r Resource) nested() bool { return r.Type == "AWS::CloudFormation::Stack" }

// contents lists what is in a stack itself.
func (c *Client) contents(ctx context.Context, name string) ([]Resource, error) {
	var answer struct{ StackResourceSummaries []Resource }
	err := c.Call(ctx, &answer, "cloudformation", "list-stack-resources", "--stack-name", name)
	return answer.StackResourceSummaries, err
}

// Resources lists what is in a stack and the stacks in it.
func (c *Client) Resources(ctx context.Context, name string) (all []Resource, err error) {
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
		inner, err := c.Resources(ctx, r.PhysicalID)
		if err != nil {
			return nil, err
		}
		all = append(all, inner...)
	}
	return all, nil
}

// IDs gives the physical ids of all resources of a type.
func IDs(all []Resource, kind string) (ids []string) {
	for _, r := range all {
		if r.Type == kind && r.PhysicalID != "" {
			ids = append(ids, r.PhysicalID)
		}
	}
	return ids
}

// Condition is what a stack's status means for what we do next.
type Condition int

const (
	Absent Condition = iota // there is no stack
	Ready                   // it stands, and may be changed
	Busy                    // CloudFormation is at work on it
	Begun                   // a first change set was made and never carried out
	Failed                  // its creation failed, nobody ever used it: delete it, create it anew
	Broken                  // its deletion failed half way: delete the rest
	Stuck                   // an update failed, and undoing it too: undo again
	Halted                  // an update failed and was left so: undo it
)

var conditions = map[string]Condition{
	"":                         Absent,
	"DELETE_COMPLETE":          Absent,
	"CREATE_COMPLETE":          Ready,
	"UPDATE_COMPLETE":          Ready,
	"UPDATE_ROLLBACK_COMPLETE": Ready,
	"IMPORT_COMPLETE":          Ready,
	"IMPORT_ROLLBACK_COMPLETE": Ready,
	"REVIEW_IN_PROGRESS":       Begun,
	"CREATE_FAILED":            Failed,
	"ROLLBACK_COMPLETE":        Failed,
	"ROLLBACK_FAILED":          Failed,
	"DELETE_FAILED":            Broken,
	"UPDATE_ROLLBACK_FAILED":   Stuck,
	"UPDATE_FAILED":            Halted,
}

// Condition knows every status of CloudFormation's StackStatus. One that a
// later version may bring counts as stuck, if it is not in progress.
func (s Stack) Condition() Condition {
	if c, ok := conditions[s.Status]; ok {
		return c
	}
	if strings.HasSuffix(s.Status, "_IN_PROGRESS") {
		return Busy
	}
	return Stuck
}

// Made says whether a stack has, or may have, parts.
func (c Condition) Made() bool { return c != Absent && c != Begun }

var inWords = map[Condition]string{
	Absent: "not deployed",
	Ready:  "deployed",
	Busy:   "being worked on by CloudFormation",
	Begun:  "begun, never deployed",
	Failed: "its creation failed",
	Broken: "its deletion failed half way",
	Stuck:  "an update failed and could not be undone",
	Halted: "an update failed and could not be undone",
}

// InWords says what the stack's status means, for people.
func (s Stack) InWords() string {
	if s.Condition() == Ready && strings.Contains(s.Status, "ROLLBACK") {
		return "deployed; the last change failed and was undone"
	}
	return inWords[s.Condition()]
}
