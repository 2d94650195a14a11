package cfn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/aws"
	"culvert/test/awstest"
)

// network is an account in which nothing but the network is left of a stack. Lambda removes an
// interface 20 minutes after the first deletion; one whose role is gone only whoever deletes it.
type network struct {
	waited, stay map[string]bool // interfaces that Lambda removes, and those that it leaves
	refused      bool            // nobody may delete an interface
	words        string          // what a deletion that fails says
	first        time.Time
	events       []string
	deletions    int
	status       string
}

func (n *network) Run(ctx context.Context, c aws.Call) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if !n.first.IsZero() && time.Since(n.first) > 20*time.Minute {
		clear(n.waited)
	}
	switch what := aws.Describe(c); what {
	case "aws cloudformation delete-stack":
		n.delete()
	case "aws cloudformation describe-stacks":
		return []byte(awstest.InState(n.status)), nil
	case "aws cloudformation describe-stack-events":
		newest := slices.Clone(n.events)
		slices.Reverse(newest)
		return []byte(`{"StackEvents": [` + strings.Join(newest, ",") + `]}`), nil
	case "aws cloudformation list-stack-resources":
		return []byte(`{"StackResourceSummaries": [{"PhysicalResourceId": "vpc-1", "ResourceType": "AWS::EC2::VPC", "ResourceStatus": "DELETE_FAILED"}]}`), nil
	case "aws ec2 describe-network-interfaces":
		if !slices.Contains(c.Args, "Name=vpc-id,Values=vpc-1") || !slices.Contains(c.Args, "Name=status,Values=available") {
			return nil, fmt.Errorf("asked for the interfaces of others: %q", c.Args)
		}
		var ids []string
		for id := range n.stay {
			ids = append(ids, `"`+id+`"`)
		}
		return []byte("[" + strings.Join(ids, ",") + "]"), nil
	case "aws ec2 delete-network-interface":
		if n.refused {
			return nil, &aws.Failure{What: what, Said: "An error occurred (AuthFailure)", Err: errors.New("exit status 254")}
		}
		delete(n.stay, c.Args[slices.Index(c.Args, "--network-interface-id")+1])
	default:
		return nil, fmt.Errorf("nobody expected %q", what)
	}
	return nil, nil
}

func (n *network) delete() {
	if n.deletions++; n.first.IsZero() {
		n.first = time.Now()
	}
	n.tell("arn:root", "DELETE_IN_PROGRESS", "")
	n.status = "DELETE_COMPLETE"
	if len(n.waited)+len(n.stay) > 0 || n.words != dependency {
		n.tell("sg-1", "DELETE_FAILED", n.words)
		n.status = "DELETE_FAILED"
	}
	n.tell("arn:root", n.status, "")
}

func (n *network) tell(id, status, reason string) {
	n.events = append(n.events, fmt.Sprintf(`{"EventId": "e%d", "StackId": "arn:root", "PhysicalResourceId": %q, "LogicalResourceId": "FunctionsGroup",
		"Timestamp": %q, "ResourceStatus": %q, "ResourceStatusReason": %q}`, len(n.events), id, time.Now().Format(time.RFC3339Nano), status, reason))
}

const dependency = "resource sg-1 has a dependent object (Service: Ec2, Status Code: 400) (HandlerErrorCode: DependencyViolation)"

func TestADeletionComesToItsEnd(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct {
		network
		succeeds  bool
		deletions [2]int // how many it may take
		longest   time.Duration
	}{
		"nothing is in the way":                         {network{words: dependency}, true, [2]int{1, 1}, 5 * time.Minute},
		"interfaces that outlive their functions":       {network{words: dependency, waited: map[string]bool{"eni-1": true}}, true, [2]int{6, 9}, 30 * time.Minute},
		"interfaces whose role is gone":                 {network{words: dependency, stay: map[string]bool{"eni-1": true, "eni-2": true}}, true, [2]int{2, 2}, 2 * time.Minute},
		"interfaces that nobody may delete":             {network{words: dependency, stay: map[string]bool{"eni-1": true}, refused: true}, false, [2]int{14, 17}, 70 * time.Minute},
		"a permission that the volunteer does not have": {network{words: "User: x is not authorized to perform: ec2:DeleteVpc"}, false, [2]int{3, 3}, 3 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, _, said := testClient(t, nil)
			n := one.network
			n.status = "CREATE_COMPLETE"
			c.Runner = &n
			began := time.Now()
			err := c.Remove(t.Context(), Stack{ID: "arn:root", Status: "CREATE_COMPLETE"})
			if (err == nil) != one.succeeds || n.deletions < one.deletions[0] || n.deletions > one.deletions[1] || time.Since(began) > one.longest {
				t.Errorf("%s: got %v after %d deletions and %v, want success: %t, after %v deletions and %v at most\n%s",
					name, err, n.deletions, time.Since(began), one.succeeds, one.deletions, one.longest, said)
			}
		})
	}
}

// What was left by a first deployment that failed, or by a deletion, is removed the same way before
// anything is made anew.
func TestADeploymentOnRemainsComesToItsEnd(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"ROLLBACK_FAILED", "ROLLBACK_COMPLETE", "CREATE_FAILED", "DELETE_FAILED"} {
		synctest.Test(t, func(t *testing.T) {
			c, _, _ := testClient(t, nil)
			n := network{words: dependency, status: status, waited: map[string]bool{"eni-1": true}, stay: map[string]bool{"eni-2": true}}
			c.Runner = &n
			if s, err := c.Settle(t.Context()); err != nil || s.Condition() != Absent {
				t.Errorf("%s: got %q and %v, want nothing left", status, s.Status, err)
			}
		})
	}
}
