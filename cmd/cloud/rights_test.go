package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"culvert/cmd/cloud/internal/cfn"
	"culvert/test/awstest"
)

func TestWhatCredentialsMayNotDoIsKnownBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	const (
		user    = "arn:aws:iam::123456789012:user/helper"
		role    = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/me"
		roleArn = `"arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef"`
		allowed = `{"EvaluationResults": [{"EvalActionName": "ec2:CreateVpc", "EvalDecision": "allowed", "OrganizationsDecisionDetail": {"AllowedByOrganizations": true}}]}`
		lacks   = `{"EvaluationResults": [{"EvalActionName": "iam:CreateRole", "EvalDecision": "implicitDeny"}]}`
		forbids = `{"EvaluationResults": [{"EvalActionName": "ec2:CreateVpc", "EvalDecision": "explicitDeny", "OrganizationsDecisionDetail": {"AllowedByOrganizations": false}}]}`
	)
	for name, one := range map[string]struct {
		arn     string
		answers []string
		stack   cfn.Stack
		says    []string
		asks    int
	}{
		"all is allowed":           {user, []string{allowed, allowed}, cfn.Stack{}, nil, 2},
		"a permission is missing":  {user, []string{allowed, lacks}, cfn.Stack{}, []string{"lack the right to iam:CreateRole", "AdministratorAccess"}, 2},
		"an organisation's rule":   {role, []string{forbids, lacks}, cfn.Stack{}, []string{"rule seems to forbid ec2:CreateVpc. ", "REGION=name"}, 3},
		"nobody answers":           {user, []string{"!AccessDenied", "!AccessDenied"}, cfn.Stack{}, nil, 2},
		"the account's owner":      {"arn:aws:iam::123456789012:root", nil, cfn.Stack{}, nil, 0},
		"a deployment that stands": {user, nil, cfn.Stack{Status: "UPDATE_COMPLETE"}, nil, 0},
		"a role":                   {role, []string{allowed, allowed}, cfn.Stack{}, nil, 3},
	} {
		c, r, said := testCloud(t, map[string][]string{"aws iam get-role": {roleArn}, "aws iam simulate-principal-policy": one.answers})
		c.account.Arn = one.arn
		c.checkRights(t.Context(), one.stack)
		if len(r.Calls) != one.asks {
			t.Errorf("%s: asked %d questions, want %d", name, len(r.Calls), one.asks)
		}
		for _, call := range r.Calls {
			if at := slices.Index(call.Args, "--policy-source-arn"); at >= 0 && strings.Contains(call.Args[at+1], ":sts:") {
				t.Errorf("%s: asked about %s, which IAM does not know", name, call.Args[at+1])
			}
		}
		awstest.WantSaid(t, said.String(), one.says...)
		if (said.Len() > 0) != (one.says != nil) {
			t.Errorf("%s: said %q", name, said)
		}
	}
}

func TestAMachineThatARegionHasNotIsRefusedBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	stands := cfn.Stack{Status: "UPDATE_COMPLETE", Parameters: []cfn.Parameter{{ParameterKey: "InstanceType", ParameterValue: "t4g.micro"}}}
	fleet := map[string]string{"InstanceType": "t4g.nano", "Topology": "fleet"}
	for name, one := range map[string]struct {
		offered, says string
		stack         cfn.Stack
		given, adds   map[string]string
	}{
		"both zones have it":               {offered: `["use1-az1", "use1-az2"]`},
		"AWS does not say":                 {offered: "!An error occurred (UnauthorizedOperation)"},
		"one zone is too few":              {offered: `["use1-az1", "use1-az3"]`, says: "has a t4g.nano in 1 zones"},
		"the first has it not":             {offered: `["use1-az2", "use1-az4"]`, adds: map[string]string{"ZoneA": "use1-az4"}},
		"neither has it":                   {offered: `["use1-az4", "use1-az5"]`, adds: map[string]string{"ZoneA": "use1-az4", "ZoneB": "use1-az5"}},
		"one that was given":               {offered: `["use1-az2", "use1-az4"]`, given: map[string]string{"ZoneA": "use1-az1"}, says: "zone use1-az1 has no"},
		"one that stands there":            {offered: `["use1-az2", "use1-az4"]`, stack: stands, given: map[string]string{"InstanceType": "t4g.nano"}, says: "zone use1-az1 has no"},
		"one whose machine is not there":   {offered: `["use1-az1", "use1-az4"]`, stack: stands, given: map[string]string{"InstanceType": "t4g.nano"}},
		"a fleet of which half is not so":  {offered: `["use1-az1", "use1-az4"]`, stack: stands, given: fleet, says: "zone use1-az2 has no"},
		"one that stands and stays itself": {offered: `[]`, stack: stands},
	} {
		c, _, _ := testCloud(t, map[string][]string{"aws ec2 describe-availability-zones": {`["use1-az1", "use1-az2", "use1-az3", "use1-az4", "use1-az5"]`},
			"aws ec2 describe-instance-type-offerings": {one.offered}})
		maps.Copy(c.given, one.given)
		err := c.checkOffer(t.Context(), one.stack)
		if (err != nil) != (one.says != "") || err != nil && !strings.Contains(err.Error(), one.says) {
			t.Errorf("%s: got %v, want %q", name, err, one.says)
		}
		want := map[string]string{}
		maps.Copy(want, one.given)
		maps.Copy(want, one.adds)
		if !maps.Equal(c.given, want) {
			t.Errorf("%s: set %v, want %v", name, c.given, want)
		}
	}
}
