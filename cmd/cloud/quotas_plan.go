package main

import (
	"context"
	"slices"
	"strings"
)

// checkPlan refuses a machine that AWS's free plan does not have. AWS would say
// so when it starts, after all that comes before it was made; not even a trial
// (--dry-run) tells. Who may not ask is taken to have a paid plan.
func (c *cloud) checkPlan(ctx context.Context, s stack) error {
	var plan struct{ AccountPlanType string }
	kind := c.newMachine(s)
	if kind == "" || c.global(ctx, &plan, "freetier", "get-account-plan-state") != nil || plan.AccountPlanType != "FREE" {
		return ctx.Err()
	}
	c.note("The account is on AWS's free plan, which ends with its credits or after six months. AWS then closes the account, and all links end.")
	c.hint("Upgrade before that, which alone costs nothing: %s", upgrade)
	var has []string
	err := c.aws(ctx, &has, "ec2", "describe-instance-types", "--filters", "Name=free-tier-eligible,Values=true",
		"--query", "InstanceTypes[].InstanceType")
	if err != nil || slices.Contains(has, kind) {
		return ctx.Err()
	}
	return freePlan(kind)
}

const upgrade = "https://console.aws.amazon.com/billing, Free Tier, Upgrade plan."

func freePlan(kind string) error {
	return advise("Take the smallest that it has: "+onFreePlan(kind)+". Or upgrade the account: "+upgrade,
		"AWS's free plan has no %s; nothing was changed", kind)
}

// onFreePlan is how to deploy with a machine that the free plan has had since
// it began, for the same processor.
func onFreePlan(kind string) string {
	if family, _, _ := strings.Cut(kind, "."); family == "t3" || family == "c7i" {
		return "make deploy ARCH=x86_64 INSTANCE=t3.micro"
	}
	return "make deploy INSTANCE=t4g.micro"
}

// newMachine is the type of the machines that a deployment would start; empty
// if it starts none of another type.
func (c *cloud) newMachine(s stack) string {
	same := c.chosen("InstanceType", s) == s.parameter("InstanceType") && c.given["Topology"] == ""
	if conditionOf(s.Status).made() && same {
		return ""
	}
	return c.machine(s)
}

// checkBudget leaves the budget out where it cannot be made: its failure would
// take all the rest with it. Who administers an account may still not see its
// bills, until its owner allows that.
func (c *cloud) checkBudget(ctx context.Context, s stack) {
	if conditionOf(s.Status).made() || c.given["Budget"] == "0" {
		return
	}
	err := c.global(ctx, nil, "budgets", "describe-budgets", "--account-id", c.account.ID, "--max-results", "1")
	if err == nil || !noBudget.MatchString(err.Error()) {
		return
	}
	c.given["Budget"] = "0"
	c.note("There will be no budget: these credentials may not make one.")
	c.hint("%s", allowBudget+" Then: make deploy BUDGET=20")
}

// noBudget is what AWS says to who may not make one.
var noBudget = words(`budgets:(View|Modify|Create)|Access ?Denied|is a linked account`)

const allowBudget = "To have one, the account's owner signs in (as root), Account, \"IAM user and role access to Billing information\", " +
	"activates that; it may take a day. In an organisation its main account has to make a budget first."
