package cfn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"culvert/cmd/cloud/internal/advice"
	"culvert/internal/aws"
	"culvert/internal/term"
)

// ErrNoChange means that the stack already is as it should be: a success.
var ErrNoChange = errors.New("nothing to change")

// change is a change set: what CloudFormation would do.
type change struct {
	ID      string `json:"ChangeSetId"`
	StackID string `json:"StackId"`
	Status  string
	Reason  string `json:"StatusReason"`
	Changes []struct{ ResourceChange resourceChange }
}

type resourceChange struct {
	Action      string
	LogicalID   string `json:"LogicalResourceId"`
	Type        string `json:"ResourceType"`
	Replacement string
	ChangeSetID string `json:"ChangeSetId"` // of a stack in the stack
}

// Apply makes the stack what the template in a file and the parameters say, and
// follows the change to its end. It refuses a change that CloudFront would not
// allow before anything is changed.
func (c *Client) Apply(ctx context.Context, s Stack, template string, parameters []Parameter) error {
	plan, err := c.plan(ctx, s, template, parameters)
	if err != nil {
		return err
	}
	all, err := c.allChanges(ctx, plan)
	if err != nil {
		return err
	}
	if err := refuseReplacement(all); err != nil {
		return err
	}
	c.Step(term.Good, 0, "%s", summary(all))
	now, err := c.order(ctx, plan.StackID, "execute-change-set", "--change-set-name", plan.ID)
	if err != nil && ctx.Err() == nil {
		c.afterFailure(now)
	}
	return err
}

// afterFailure says in what state a failed change left things.
func (c *Client) afterFailure(s Stack) {
	c.Step(term.Bad, 0, "The deployment failed.")
	switch s.Condition() {
	case Ready:
		c.Hint("CloudFormation put everything back as it was before: links that worked still work.")
	case Failed:
		c.Hint("CloudFormation removed what it had made. Run make deploy again once the cause is dealt with, or make destroy to be rid of the rest.")
	case Stuck:
		c.Hint("CloudFormation could not put everything back. Run make deploy again: it continues from here.")
	}
}

// plan asks CloudFormation what would change. It looks into the stacks in the
// stack if CloudFormation can: a creation has nothing to look for, and some
// parameters of inner stacks are not known before they exist.
func (c *Client) plan(ctx context.Context, s Stack, template string, parameters []Parameter) (change, error) {
	if s.Condition() != Ready {
		return c.planWith(ctx, "CREATE", template, parameters)
	}
	plan, err := c.planWith(ctx, "UPDATE", template, parameters, "--include-nested-stacks")
	if err == nil || errors.Is(err, ErrNoChange) || ctx.Err() != nil {
		return plan, err
	}
	return c.planWith(ctx, "UPDATE", template, parameters)
}

func (c *Client) planWith(ctx context.Context, kind, template string, parameters []Parameter, more ...string) (change, error) {
	given, err := json.Marshal(parameters)
	if err != nil {
		return change{}, err
	}
	args := append([]string{"cloudformation", "create-change-set", "--stack-name", c.Target.Stack,
		"--change-set-name", fmt.Sprintf("culvert-%d", time.Now().UnixMilli()), "--change-set-type", kind,
		"--template-body", "file://" + template, "--parameters", string(given),
		"--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"}, more...)
	var made struct {
		ID string `json:"Id"`
	}
	if err := c.Call(ctx, &made, args...); err != nil {
		return change{}, err
	}
	return c.planned(ctx, made.ID)
}

// planned waits until CloudFormation has thought it over.
func (c *Client) planned(ctx context.Context, id string) (change, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	for {
		plan, err := c.changeSet(ctx, id)
		switch {
		case err != nil:
			return plan, err
		case plan.Status == "CREATE_COMPLETE":
			return plan, nil
		case plan.Status == "FAILED":
			return plan, c.refused(ctx, plan)
		}
		if err := aws.Pause(ctx, time.Second); err != nil {
			return plan, err
		}
	}
}

func (c *Client) changeSet(ctx context.Context, id string) (plan change, err error) {
	err = c.Call(ctx, &plan, "cloudformation", "describe-change-set", "--change-set-name", id)
	plan.ID = id
	return plan, err
}

// refused says why CloudFormation cannot make a change set, and deletes it.
func (c *Client) refused(ctx context.Context, plan change) error {
	c.Call(ctx, nil, "cloudformation", "delete-change-set", "--change-set-name", plan.ID) // costs nothing if it stays
	if strings.Contains(plan.Reason, "didn't contain changes") || strings.Contains(plan.Reason, "No updates are to be performed") {
		return ErrNoChange
	}
	return c.explained("CloudFormation refuses the change: " + plan.Reason)
}

// allChanges includes those of the stacks in the stack, where they are known.
func (c *Client) allChanges(ctx context.Context, plan change) (all []resourceChange, err error) {
	for _, one := range plan.Changes {
		r := one.ResourceChange
		if r.ChangeSetID == "" {
			all = append(all, r)
			continue
		}
		inner, err := c.changeSet(ctx, r.ChangeSetID)
		if err != nil {
			return nil, err
		}
		more, err := c.allChanges(ctx, inner)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// cannotBeReplaced are parts that others hold on to: CloudFront refuses to
// move its way into the network while a distribution uses it.
var cannotBeReplaced = []string{"AWS::EC2::Instance", "AWS::CloudFront::VpcOrigin"}

func refuseReplacement(all []resourceChange) error {
	for _, r := range all {
		if r.Action == "Modify" && r.Replacement == "True" && slices.Contains(cannotBeReplaced, r.Type) {
			return advice.New("Deploy with the settings of before, or let another instance take its place: make deploy SET=SoloInstance=b (or a, if it is b).",
				"this change would replace %s, which CloudFront does not allow while it is in use; nothing was changed", parts[r.Type].name)
		}
	}
	return nil
}

// summary counts what will be done.
func summary(all []resourceChange) string {
	n := map[string]int{}
	for _, r := range all {
		n[r.Action]++
	}
	return fmt.Sprintf("To do: %d parts to make, %d to change, %d to remove.", n["Add"], n["Modify"], n["Remove"])
}
