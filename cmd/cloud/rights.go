package main

import (
	"context"
	"slices"
	"strings"

	"culvert/cmd/cloud/internal/cfn"
	"culvert/internal/term"
)

// What a deployment makes first of each kind: in its region, and where AWS
// does what belongs to none.
var (
	regional = []string{"cloudformation:CreateChangeSet", "s3:CreateBucket", "ec2:CreateVpc", "ec2:RunInstances", "lambda:CreateFunction",
		"apigateway:POST", "secretsmanager:CreateSecret", "ssm:CreateAssociation"}
	worldwide = []string{"cloudfront:CreateDistribution", "cloudfront:CreateVpcOrigin", "iam:CreateRole"}
)

// checkRights asks IAM what these credentials may do, before anything is made.
// Its answer is a simulation, which knows of no condition but the region: it
// warns and refuses nothing. Where IAM does not answer, nothing is said.
func (c *cloud) checkRights(ctx context.Context, s cfn.Stack) {
	if s.Condition().Made() {
		return
	}
	who := c.principal(ctx)
	if who == "" {
		return
	}
	denied := append(c.denied(ctx, who, c.Region, regional), c.denied(ctx, who, "us-east-1", worldwide)...)
	if len(denied) == 0 {
		return
	}
	by, try := "These credentials seem to lack the right to %s", "Use an administrator's profile (PROFILE=name), or the policy AdministratorAccess, in an account that holds nothing else."
	if others := slices.DeleteFunc(slices.Clone(denied), func(r right) bool { return !r.forbidden() }); len(others) > 0 {
		denied = others
		by, try = "An organisation's rule seems to forbid %s", "Some organisations allow only some regions: ask which, and take one (REGION=name). Or use an account of your own."
	}
	var names []string
	for _, r := range denied {
		names = append(names, r.EvalActionName)
	}
	c.Step(term.Warned, 0, by+". If so, what is made until then is removed again.", strings.Join(names, ", "))
	c.Hint("%s", try)
}

// principal is whom IAM knows these credentials by: a user, or the role that
// they are of. The account's owner is neither.
func (c *cloud) principal(ctx context.Context) (arn string) {
	if strings.Contains(c.account.Arn, ":user/") {
		return c.account.Arn
	}
	_, role, assumed := strings.Cut(c.account.Arn, ":assumed-role/")
	if !assumed {
		return ""
	}
	role, _, _ = strings.Cut(role, "/")
	if c.CallGlobal(ctx, &arn, "iam", "get-role", "--role-name", role, "--query", "Role.Arn") != nil {
		return ""
	}
	return arn
}

// right is what IAM says of one action.
type right struct {
	EvalActionName, EvalDecision string
	OrganizationsDecisionDetail  *struct{ AllowedByOrganizations bool } // nil where there is no organisation
}

// forbidden says whether an organisation's rule is in the way.
func (r right) forbidden() bool {
	return r.OrganizationsDecisionDetail != nil && !r.OrganizationsDecisionDetail.AllowedByOrganizations
}

// denied gives those actions that are not allowed in the region.
func (c *cloud) denied(ctx context.Context, who, region string, actions []string) []right {
	var answer struct{ EvaluationResults []right }
	args := append([]string{"iam", "simulate-principal-policy", "--policy-source-arn", who, "--context-entries",
		"ContextKeyName=aws:RequestedRegion,ContextKeyType=string,ContextKeyValues=" + region, "--action-names"}, actions...)
	if c.CallGlobal(ctx, &answer, args...) != nil {
		return nil
	}
	return slices.DeleteFunc(answer.EvaluationResults, func(r right) bool { return r.EvalDecision == "allowed" })
}
