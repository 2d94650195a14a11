package main

import (
	"slices"
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
