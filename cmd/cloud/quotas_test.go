package main

import (
	"strings"
	"testing"

	"culvert/cmd/cloud/internal/cfn"
	"culvert/test/awstest"
)

func TestAFleetNeedsRoomForThoseThatAreDrained(t *testing.T) {
	t.Parallel()
	solo := cfn.Stack{Status: "UPDATE_COMPLETE", Parameters: []cfn.Parameter{{ParameterKey: "Topology", ParameterValue: "solo"}}}
	for _, one := range []struct {
		given string
		stack cfn.Stack
		want  float64
	}{{"", cfn.Stack{}, 2}, {"fleet", cfn.Stack{}, 8}, {"", solo, 0}, {"solo", solo, 0}, {"fleet", solo, 8}} {
		o := options{given: map[string]string{}}
		if one.given != "" {
			o.given["Topology"] = one.given
		}
		if got := needCPUs(o, one.stack); got != one.want {
			t.Errorf("%q for a stack %q: got %v, want %v", one.given, one.stack.Status, got, one.want)
		}
	}
}

func TestQuotasSayAllThatIsMissing(t *testing.T) {
	t.Parallel()
	c, _, said := testCloud(t, map[string][]string{
		"aws service-quotas get-service-quota": {`{"Quota": {"Value": 4}}`, `{"Quota": {"Value": 5}}`, "!AccessDenied"},
		"aws ec2 describe-instances":           {`[{"CoreCount": 2, "ThreadsPerCore": 2}]`},
		"aws ec2 describe-vpcs":                {"5"},
		"aws cloudfront list-distributions":    {"0"},
		"aws cloudfront list-vpc-origins":      {"!AccessDenied"},
	})
	c.report(c.checkQuotas(t.Context(), cfn.Stack{}))
	awstest.WantSaid(t, said.String(), "vCPUs: 4 allowed, 4 in use, 2 more needed", "networks (VPCs): 5 allowed, 5 in use, 1 more needed",
		"VPC origins not checked", "--quota-code L-1216C47A --desired-value 6", "--quota-code L-F678F1CE --desired-value 6")
}

func TestQuotasOfAStackThatStandsAreNotAskedAgain(t *testing.T) {
	t.Parallel()
	c, r, _ := testCloud(t, map[string][]string{"aws lambda get-account-settings": {`{"AccountLimit": {"ConcurrentExecutions": 1000}}`}})
	if err := c.checkQuotas(t.Context(), cfn.Stack{Status: "CREATE_COMPLETE", Parameters: []cfn.Parameter{{ParameterKey: "Distributions", ParameterValue: "1"}}}); err != nil {
		t.Fatal(err)
	}
	if len(r.Calls) > 1 {
		t.Errorf("asked %q, want nothing of quotas", r.Asked(""))
	}
}

func TestANewAccountHearsThatItMayRunFewFunctions(t *testing.T) {
	t.Parallel()
	c, _, said := testCloud(t, map[string][]string{"aws lambda get-account-settings": {`{"AccountLimit": {"ConcurrentExecutions": 10}}`}})
	c.checkConcurrency(t.Context())
	awstest.WantSaid(t, said.String(), "Only 10 functions", "--quota-code L-B99A9384")
}

const eligible = `["t4g.micro", "t4g.small", "t3.micro", "t3.small"]`

func TestTheFreePlansMachinesAreKnownBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	standing := cfn.Stack{Status: "CREATE_COMPLETE", Parameters: []cfn.Parameter{{ParameterKey: "InstanceType"}, {ParameterKey: "Topology", ParameterValue: "solo"}}}
	for _, one := range []struct {
		given      string
		stack      cfn.Stack
		plan, want string
	}{
		{"Architecture=x86_64 InstanceType=c7i.large", cfn.Stack{}, `{"accountPlanType": "FREE"}`, "INSTANCE=t3.micro"},
		{"InstanceType=c7g.large", cfn.Stack{}, `{"accountPlanType": "FREE"}`, "INSTANCE=t4g.micro"},
		{"InstanceType=t4g.micro", cfn.Stack{}, `{"accountPlanType": "FREE"}`, ""},
		{"Topology=fleet", cfn.Stack{}, `{"accountPlanType": "FREE"}`, ""},
		{"InstanceType=t4g.medium", standing, `{"accountPlanType": "FREE"}`, "INSTANCE=t4g.micro"},
		{"", standing, `{"accountPlanType": "FREE"}`, ""},
		{"", cfn.Stack{}, `{"accountPlanType": "PAID"}`, ""},
		{"", cfn.Stack{}, "!An error occurred (AccessDeniedException)", ""},
	} {
		c, _, said := testCloud(t, map[string][]string{
			"aws freetier get-account-plan-state": {one.plan},
			"aws ec2 describe-instance-types":     {eligible},
		})
		if one.given != "" {
			if err := c.set(one.given); err != nil {
				t.Fatal(err)
			}
		}
		err := c.checkPlan(t.Context(), one.stack)
		if (err != nil) != (one.want != "") {
			t.Errorf("%q in %q by plan %s: got %v", one.given, one.stack.Status, one.plan, err)
			continue
		}
		if err != nil {
			c.report(err)
			awstest.WantSaid(t, said.String(), one.want, "ends with its credits", "Upgrade plan")
		}
	}
}

func TestAMachineOfTheFreePlanIsTakenByItself(t *testing.T) {
	t.Parallel()
	const tooOld = "!aws: error: argument command: Invalid choice, valid choices are: accessanalyzer | account"
	for _, one := range []struct{ given, plan, has, want, says string }{
		{"Architecture=arm64", `{"accountPlanType": "FREE"}`, eligible, "t4g.micro", "has no t4g.nano: this takes a t4g.micro"},
		{"Architecture=x86_64", `{"accountPlanType": "FREE"}`, eligible, "t3.micro", "has no t3.nano: this takes a t3.micro"},
		{"Architecture=arm64", `{"accountPlanType": "PAID"}`, eligible, "", ""},
		{"Architecture=arm64", "!An error occurred (AccessDeniedException)", eligible, "", ""},
		{"Architecture=arm64", tooOld, eligible, "", "if it is, make deploy INSTANCE=t4g.micro"},
	} {
		c, _, said := testCloud(t, map[string][]string{"aws freetier get-account-plan-state": {one.plan}, "aws ec2 describe-instance-types": {one.has}})
		if err := c.set(one.given); err != nil {
			t.Fatal(err)
		}
		if err := c.checkPlan(t.Context(), cfn.Stack{}); err != nil {
			t.Errorf("%s by %s: got %v", one.given, one.plan, err)
		}
		if got := c.given["InstanceType"]; got != one.want {
			t.Errorf("%s by %s: got %q, want %q", one.given, one.plan, got, one.want)
		}
		awstest.WantSaid(t, said.String(), one.says)
	}
}

func TestABudgetThatCannotBeMadeIsLeftOut(t *testing.T) {
	t.Parallel()
	const denied = "!An error occurred (AccessDeniedException) when calling the DescribeBudgets operation: User: x is not authorized to perform: budgets:ViewBudget"
	for _, one := range []struct {
		given, said string
		stack       cfn.Stack
		want        string
	}{
		{"", denied, cfn.Stack{}, "0"},
		{"30", denied, cfn.Stack{}, "0"},
		{"30", "!Account 1 is a linked account. To enable budgets for your account, ask the payer account", cfn.Stack{}, "0"},
		{"30", `{"Budgets": []}`, cfn.Stack{}, "30"},
		{"30", "!Could not connect to the endpoint URL", cfn.Stack{}, "30"},
		{"30", denied, cfn.Stack{Status: "UPDATE_COMPLETE"}, "30"},
	} {
		c, _, said := testCloud(t, map[string][]string{"aws budgets describe-budgets": {one.said}})
		if one.given != "" {
			c.given["Budget"] = one.given
		}
		c.checkBudget(t.Context(), one.stack)
		if got := c.given["Budget"]; got != one.want {
			t.Errorf("%q, with %q: got a budget of %q, want %q", one.given, one.said, got, one.want)
		}
		if told := strings.Contains(said.String(), "no budget"); told != (one.want == "0") {
			t.Errorf("%q: said %q", one.said, said)
		}
	}
}

func TestAHigherRateOfMessagesNeedsTwiceAsManyRequests(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]float64{"": 0, "3000": 6000} {
		if got := needRate(options{given: map[string]string{"MessageRate": given}}, cfn.Stack{}); got != want {
			t.Errorf("%q: got %v, want %v", given, got, want)
		}
	}
}

func TestMoreAndLargerMachinesNeedMoreCPUs(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]float64{"InstanceType=c7g.xlarge": 4, "Topology=fleet FleetMin=3": 12, "Topology=fleet InstanceType=c7i.xlarge": 16} {
		c, _, _ := testCloud(t, nil)
		if err := c.set(given); err != nil {
			t.Fatal(err)
		}
		if got := needCPUs(c.options, cfn.Stack{}); got != want {
			t.Errorf("%s: got %v, want %v", given, got, want)
		}
	}
}
