package main

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// From each state in which a stack may be found, deploy gets to one to start
// from, and by these means.
func TestSettleLeavesEveryStateByTheRightMeans(t *testing.T) {
	t.Parallel()
	gone, there := noStack, inState("UPDATE_ROLLBACK_COMPLETE")
	for _, one := range []struct {
		status, after string
		means         []string
		end           condition
	}{
		{"CREATE_COMPLETE", there, nil, ready},
		{"UPDATE_COMPLETE", there, nil, ready},
		{"REVIEW_IN_PROGRESS", there, nil, begun},
		{"CREATE_FAILED", gone, []string{"delete-stack"}, absent},
		{"ROLLBACK_COMPLETE", gone, []string{"delete-stack"}, absent},
		{"ROLLBACK_FAILED", gone, []string{"delete-stack"}, absent},
		{"DELETE_FAILED", gone, []string{"delete-stack"}, absent},
		{"UPDATE_ROLLBACK_FAILED", there, []string{"continue-update-rollback"}, ready},
		{"UPDATE_FAILED", there, []string{"rollback-stack"}, ready},
		{"CREATE_IN_PROGRESS", there, nil, ready},
		{"ROLLBACK_IN_PROGRESS", gone, nil, absent},
		{"DELETE_IN_PROGRESS", gone, nil, absent},
		{"UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", there, nil, ready},
	} {
		t.Run(one.status, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, r, _ := testCloud(t, map[string][]string{
					"aws cloudformation describe-stacks":          {inState(one.status), one.after},
					"aws cloudformation describe-stack-events":    {`{"StackEvents": []}`},
					"aws cloudformation delete-stack":             {""},
					"aws cloudformation continue-update-rollback": {""},
					"aws cloudformation rollback-stack":           {""},
				})
				s, err := c.settle(t.Context())
				if err != nil || conditionOf(s.Status) != one.end {
					t.Errorf("got state %q and %v, want condition %d", s.Status, err, one.end)
				}
				means := slices.DeleteFunc(r.asked("aws cloudformation "), func(s string) bool {
					return s == "describe-stacks" || s == "describe-stack-events"
				})
				if !slices.Equal(means, one.means) {
					t.Errorf("got %q, want %q", means, one.means)
				}
			})
		})
	}
}

// Every status of CloudFormation's StackStatus has words and a condition.
func TestEveryStatusIsKnown(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]condition{
		"IMPORT_COMPLETE": ready, "IMPORT_IN_PROGRESS": busy, "IMPORT_ROLLBACK_COMPLETE": ready,
		"IMPORT_ROLLBACK_FAILED": stuck, "IMPORT_ROLLBACK_IN_PROGRESS": busy, "UPDATE_IN_PROGRESS": busy,
		"UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": busy, "UPDATE_ROLLBACK_IN_PROGRESS": busy,
		"DELETE_COMPLETE": absent, "": absent, "SOMETHING_NEW": stuck,
	} {
		if got := conditionOf(status); got != want {
			t.Errorf("%s: got %d, want %d", status, got, want)
		}
		if inWords(status) == "" {
			t.Errorf("%s: no words", status)
		}
	}
}

// A change that can be neither made nor undone, as the instance is broken, is
// undone but for what is on that instance.
func TestABrokenInstanceIsLeftOutWhenAChangeIsUndone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failed := inState("UPDATE_ROLLBACK_FAILED")
		ended := func(second, status string) string {
			return `{"StackEvents": [{"EventId": "` + second + `", "Timestamp": "2000-01-01T00:00:0` + second + `Z", "StackId": "arn:root",
				"PhysicalResourceId": "arn:root", "LogicalResourceId": "culvert", "ResourceType": "AWS::CloudFormation::Stack", "ResourceStatus": "` + status + `"}]}`
		}
		c, r, said := testCloud(t, map[string][]string{
			"aws cloudformation describe-stacks": {failed, failed, inState("UPDATE_ROLLBACK_COMPLETE")},
			"aws cloudformation describe-stack-events": {`{"StackEvents": []}`, ended("1", "UPDATE_ROLLBACK_FAILED"),
				ended("1", "UPDATE_ROLLBACK_FAILED"), ended("2", "UPDATE_ROLLBACK_COMPLETE")},
			"aws cloudformation list-stack-resources": {`{"StackResourceSummaries": [
				{"LogicalResourceId": "Front", "ResourceType": "AWS::CloudFormation::Stack", "ResourceStatus": "UPDATE_COMPLETE",
				 "PhysicalResourceId": "arn:aws:cloudformation:us-east-1:1:stack/culvert-Front-1/id"},
				{"LogicalResourceId": "SoloA", "ResourceType": "AWS::CloudFormation::Stack", "ResourceStatus": "UPDATE_FAILED",
				 "PhysicalResourceId": "arn:aws:cloudformation:us-east-1:1:stack/culvert-SoloA-1/id"}]}`,
				`{"StackResourceSummaries": [
				{"LogicalResourceId": "Instance", "ResourceType": "AWS::EC2::Instance", "ResourceStatus": "UPDATE_COMPLETE"},
				{"LogicalResourceId": "Install", "ResourceType": "AWS::SSM::Association", "ResourceStatus": "UPDATE_FAILED"}]}`},
			"aws cloudformation continue-update-rollback": {""},
		})
		s, err := c.settle(t.Context())
		if err != nil || conditionOf(s.Status) != ready {
			t.Errorf("got state %q and %v, want one to start from", s.Status, err)
		}
		last := ""
		for _, call := range r.calls {
			if line := strings.Join(call.args, " "); strings.Contains(line, "continue-update-rollback") {
				last = line
			}
		}
		if !strings.Contains(last, "--resources-to-skip culvert-SoloA-1.Install") {
			t.Errorf("got %q, want what failed on the instance left out", last)
		}
		wantSaid(t, said.String(), "SET=SoloInstance=b")
	})
}
