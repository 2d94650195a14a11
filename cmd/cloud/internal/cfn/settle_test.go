package cfn

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"culvert/internal/aws"
	"culvert/internal/term"
	"culvert/test/awstest"
)

func testdata(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// testClient is CloudFormation's stack culvert in us-east-1, and what is said.
func testClient(t *testing.T, answers map[string][]string) (*Client, *awstest.Recorded, *bytes.Buffer) {
	r, said := &awstest.Recorded{T: t, Answers: answers}, &bytes.Buffer{}
	cli := &aws.CLI{Runner: r, Path: "aws", Target: &aws.Target{Region: "us-east-1", Stack: "culvert"}}
	return &Client{cli, term.NewTestConsole(said, false)}, r, said
}

// From each state in which a stack may be found, deploy gets to one to start
// from, and by these means.
func TestSettleLeavesEveryStateByTheRightMeans(t *testing.T) {
	t.Parallel()
	gone, there := awstest.NoStack, awstest.InState("UPDATE_ROLLBACK_COMPLETE")
	for _, one := range []struct {
		status, after string
		means         []string
		end           Condition
	}{
		{"CREATE_COMPLETE", there, nil, Ready},
		{"UPDATE_COMPLETE", there, nil, Ready},
		{"REVIEW_IN_PROGRESS", there, nil, Begun},
		{"CREATE_FAILED", gone, []string{"delete-stack"}, Absent},
		{"ROLLBACK_COMPLETE", gone, []string{"delete-stack"}, Absent},
		{"ROLLBACK_FAILED", gone, []string{"delete-stack"}, Absent},
		{"DELETE_FAILED", gone, []string{"delete-stack"}, Absent},
		{"UPDATE_ROLLBACK_FAILED", there, []string{"continue-update-rollback"}, Ready},
		{"UPDATE_FAILED", there, []string{"rollback-stack"}, Ready},
		{"CREATE_IN_PROGRESS", there, nil, Ready},
		{"ROLLBACK_IN_PROGRESS", gone, nil, Absent},
		{"DELETE_IN_PROGRESS", gone, nil, Absent},
		{"UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", there, nil, Ready},
	} {
		t.Run(one.status, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, r, _ := testClient(t, map[string][]string{
					"aws cloudformation describe-stacks":          {awstest.InState(one.status), one.after},
					"aws cloudformation describe-stack-events":    {`{"StackEvents": []}`},
					"aws cloudformation delete-stack":             {""},
					"aws cloudformation continue-update-rollback": {""},
					"aws cloudformation rollback-stack":           {""},
				})
				s, err := c.Settle(t.Context())
				if err != nil || s.Condition() != one.end {
					t.Errorf("got state %q and %v, want condition %d", s.Status, err, one.end)
				}
				means := slices.DeleteFunc(r.Asked("aws cloudformation "), func(s string) bool {
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
	for status, want := range map[string]Condition{
		"IMPORT_COMPLETE": Ready, "IMPORT_IN_PROGRESS": Busy, "IMPORT_ROLLBACK_COMPLETE": Ready,
		"IMPORT_ROLLBACK_FAILED": Stuck, "IMPORT_ROLLBACK_IN_PROGRESS": Busy, "UPDATE_IN_PROGRESS": Busy,
		"UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": Busy, "UPDATE_ROLLBACK_IN_PROGRESS": Busy,
		"DELETE_COMPLETE": Absent, "": Absent, "SOMETHING_NEW": Stuck,
	} {
		if got := (Stack{Status: status}).Condition(); got != want {
			t.Errorf("%s: got %d, want %d", status, got, want)
		}
		if (Stack{Status: status}).InWords() == "" {
			t.Errorf("%s: no words", status)
		}
	}
}

// A change that can be neither made nor undone, as the instance is broken, is
// undone but for what is on that instance.
func TestABrokenInstanceIsLeftOutWhenAChangeIsUndone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failed := awstest.InState("UPDATE_ROLLBACK_FAILED")
		ended := func(second, status string) string {
			return `{"StackEvents": [{"EventId": "` + second + `", "Timestamp": "2000-01-01T00:00:0` + second + `Z", "StackId": "arn:root",
				"PhysicalResourceId": "arn:root", "LogicalResourceId": "culvert", "ResourceType": "AWS::CloudFormation::Stack", "ResourceStatus": "` + status + `"}]}`
		}
		c, r, said := testClient(t, map[string][]string{
			"aws cloudformation describe-stacks": {failed, failed, awstest.InState("UPDATE_ROLLBACK_COMPLETE")},
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
		s, err := c.Settle(t.Context())
		if err != nil || s.Condition() != Ready {
			t.Errorf("got state %q and %v, want one to start from", s.Status, err)
		}
		last := ""
		for _, call := range r.Calls {
			if line := strings.Join(call.Args, " "); strings.Contains(line, "continue-update-rollback") {
				last = line
			}
		}
		if !strings.Contains(last, "--resources-to-skip culvert-SoloA-1.Install") {
			t.Errorf("got %q, want what failed on the instance left out", last)
		}
		awstest.WantSaid(t, said.String(), "SET=SoloInstance=b")
	})
}

func TestAChangeThatReplacesTheInstanceIsRefused(t *testing.T) {
	t.Parallel()
	err := refuseReplacement([]resourceChange{
		{Action: "Modify", Type: "AWS::Lambda::Function", Replacement: "True"},
		{Action: "Modify", Type: "AWS::EC2::Instance", Replacement: "True"},
	})
	if err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("got %v, want a refusal", err)
	}
	if err := refuseReplacement([]resourceChange{{Action: "Add", Type: "AWS::EC2::Instance"}}); err != nil {
		t.Errorf("got %v for a new instance, want no error", err)
	}
}
