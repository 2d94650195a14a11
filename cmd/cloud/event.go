package main

import (
	"context"
	"slices"
	"strings"
	"time"
)

// event is one line of what CloudFormation says it does.
type event struct {
	ID         string    `json:"EventId"`
	StackID    string    `json:"StackId"`
	LogicalID  string    `json:"LogicalResourceId"`
	PhysicalID string    `json:"PhysicalResourceId"`
	Type       string    `json:"ResourceType"`
	Status     string    `json:"ResourceStatus"`
	Reason     string    `json:"ResourceStatusReason"`
	At         time.Time `json:"Timestamp"`
}

// own says whether e is of the stack itself and not of a part.
func (e event) own() bool { return e.PhysicalID == e.StackID }

func (e event) begins() bool   { return strings.HasSuffix(e.Status, "_IN_PROGRESS") }
func (e event) ends() bool     { return strings.HasSuffix(e.Status, "_COMPLETE") }
func (e event) fails() bool    { return strings.HasSuffix(e.Status, "_FAILED") }
func (e event) removing() bool { return strings.HasPrefix(e.Status, "DELETE_") }

// echo is a failure that only follows from another.
func (e event) echo() bool {
	return strings.Contains(e.Reason, "cancelled") || strings.Contains(e.Reason, "The following resource(s) failed")
}

// maxEvents bounds what is read at once; CloudFormation gives the newest first.
const maxEvents = "200"

// events lists what happened in a stack after since, the oldest first. A stack
// that is gone has no more of them.
func (c *cloud) events(ctx context.Context, id string, since time.Time) ([]event, error) {
	var answer struct{ StackEvents []event }
	err := c.aws(ctx, &answer, "cloudformation", "describe-stack-events", "--stack-name", id, "--max-items", maxEvents)
	if err != nil && strings.Contains(err.Error(), "does not exist") {
		return nil, nil
	}
	late := slices.DeleteFunc(answer.StackEvents, func(e event) bool { return !e.At.After(since) })
	slices.Reverse(late)
	return late, err
}

// lastEvent is when CloudFormation last said something of the stack.
func (c *cloud) lastEvent(ctx context.Context, id string) (time.Time, error) {
	all, err := c.events(ctx, id, time.Time{})
	if err != nil || len(all) == 0 {
		return time.Time{}, err
	}
	return all[len(all)-1].At, nil
}
