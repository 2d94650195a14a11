package main

import (
	"strings"
	"testing"
)

const eligible = `["t4g.micro", "t4g.small", "t3.micro", "t3.small"]`

func TestTheFreePlansMachinesAreKnownBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	standing := stack{Status: "CREATE_COMPLETE", Parameters: []parameter{{ParameterKey: "InstanceType"}, {ParameterKey: "Topology", ParameterValue: "solo"}}}
	for _, one := range []struct {
		given      string
		stack      stack
		plan, want string
	}{
		{"", stack{}, `{"accountPlanType": "FREE"}`, "make deploy INSTANCE=t4g.micro"},
		{"Architecture=x86_64", stack{}, `{"accountPlanType": "FREE"}`, "INSTANCE=t3.micro"},
		{"InstanceType=c7g.large", stack{}, `{"accountPlanType": "FREE"}`, "INSTANCE=t4g.micro"},
		{"InstanceType=t4g.micro", stack{}, `{"accountPlanType": "FREE"}`, ""},
		{"Topology=fleet", stack{}, `{"accountPlanType": "FREE"}`, ""},
		{"InstanceType=t4g.medium", standing, `{"accountPlanType": "FREE"}`, "INSTANCE=t4g.micro"},
		{"", standing, `{"accountPlanType": "FREE"}`, ""},
		{"", stack{}, `{"accountPlanType": "PAID"}`, ""},
		{"", stack{}, "!An error occurred (AccessDeniedException)", ""},
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
			wantSaid(t, said.String(), one.want, "ends with its credits", "Upgrade plan")
		}
	}
}

func TestABudgetThatCannotBeMadeIsLeftOut(t *testing.T) {
	t.Parallel()
	const denied = "!An error occurred (AccessDeniedException) when calling the DescribeBudgets operation: User: x is not authorized to perform: budgets:ViewBudget"
	for _, one := range []struct {
		given, said string
		stack       stack
		want        string
	}{
		{"", denied, stack{}, "0"},
		{"30", denied, stack{}, "0"},
		{"30", "!Account 1 is a linked account. To enable budgets for your account, ask the payer account", stack{}, "0"},
		{"30", `{"Budgets": []}`, stack{}, "30"},
		{"30", "!Could not connect to the endpoint URL", stack{}, "30"},
		{"30", denied, stack{Status: "UPDATE_COMPLETE"}, "30"},
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
		if got := needRate(options{given: map[string]string{"MessageRate": given}}, stack{}); got != want {
			t.Errorf("%q: got %v, want %v", given, got, want)
		}
	}
}

func TestWhatMayFailInANewAccountHasAdvice(t *testing.T) {
	t.Parallel()
	o := options{region: "us-east-1", stack: "culvert"}
	for said, want := range map[string]string{
		"User: arn:aws:iam::1:user/a is not authorized to perform: budgets:ModifyBudget (Service: Budgets, Status Code: 400, Request ID: 1)":                                          "BUDGET=0",
		"Account 1 is a linked account. To enable budgets for your account, ask the payer account to enable budgets first.":                                                           "BUDGET=0",
		"The specified instance type is not eligible for Free Tier. For a list of Free Tier instance types, run 'describe-instance-types' with the filter 'free-tier-eligible=true'.": "INSTANCE=t4g.micro",
		"Resource handler returned message: \"The provided execution role does not have permissions to call CreateNetworkInterface on EC2 (Service: Lambda, Status Code: 400)\"":      "Wait a minute",
		"This account is currently blocked and not recognized as a valid account. Please contact aws-verification@amazon.com if you have questions.":                                  "support case",
	} {
		a, _ := o.says(said).(*advice)
		if a == nil || !strings.Contains(a.try, want) {
			t.Errorf("%s: got %v, want advice with %q", said, a, want)
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
		if got := needCPUs(c.options, stack{}); got != want {
			t.Errorf("%s: got %v, want %v", given, got, want)
		}
	}
}
