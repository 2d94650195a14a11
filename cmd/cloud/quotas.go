package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"culvert/cmd/cloud/internal/advice"
	"culvert/cmd/cloud/internal/cfn"
	"culvert/internal/term"
)

// limit is a quota of the account that a deployment may run into.
type limit struct {
	name          string
	service, code string // in Service Quotas; no code: it cannot be asked for
	usual         float64
	global        bool
	need          func(options, cfn.Stack) float64
	used          func(*cloud, context.Context) (float64, error) // nil: others' use is not counted
}

var limits = []limit{
	{"vCPUs", "ec2", "L-1216C47A", 5, false, needCPUs, (*cloud).usedCPUs},
	{"networks (VPCs)", "vpc", "L-F678F1CE", 5, false, once, count("ec2", "describe-vpcs", "Vpcs")},
	{"CloudFront distributions", "cloudfront", "L-24B04930", 200, true, needFronts, countItems("list-distributions", "DistributionList")},
	{"CloudFront VPC origins", "cloudfront", "", 25, true, once, countItems("list-vpc-origins", "VpcOriginList")},
	{"API Gateway requests a second", "apigateway", "L-8A5B8E43", 10_000, false, needRate, nil},
}

// once is the need of a part that a stack has once, and has already if it stands.
func once(_ options, s cfn.Stack) float64 {
	if s.Condition().Made() {
		return 0
	}
	return 1
}

// needCPUs is for types with two each, or four. A fleet's machines are replaced
// while those before them are still drained: CloudFormation does not wait for
// that.
func needCPUs(o options, s cfn.Stack) float64 {
	topology, given := o.given["Topology"]
	each := 2.0
	if strings.HasSuffix(o.given["InstanceType"], ".xlarge") {
		each = 4
	}
	switch {
	case s.Condition().Made() && (!given || topology == s.Parameter("Topology")):
		return 0
	case topology == "fleet":
		return each * 2 * float64(fleetMin(o.given["FleetMin"]))
	}
	return each
}

// needFronts is how many distributions will be made.
func needFronts(o options, s cfn.Stack) float64 {
	var wanted, have float64 = 1, 0
	if n := o.given["Distributions"]; n != "" {
		fmt.Sscan(n, &wanted)
	}
	if s.Condition().Made() {
		fmt.Sscan(s.Parameter("Distributions"), &have)
	}
	return max(wanted-have, 0)
}

// needRate is for another rate of messages than the usual one, each of which
// has an answer. Quotas are a rate, too, so that others' use is not counted.
func needRate(o options, _ cfn.Stack) (n float64) {
	fmt.Sscan(o.given["MessageRate"], &n)
	return 2 * n
}

// checkQuotas says all that is missing, not the first only. A quota that
// cannot be asked for is left to the deployment, which says so if it matters.
func (c *cloud) checkQuotas(ctx context.Context, s cfn.Stack) error {
	var try []string
	for _, l := range limits {
		need := l.need(c.options, s)
		if need == 0 {
			continue
		}
		have, used, err := c.room(ctx, l)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			c.Step(term.Warned, 0, "Quota of %s not checked: %s", l.name, firstLine(err))
		case used+need > have:
			c.Step(term.Bad, 0, "Quota of %s: %g allowed, %g in use, %g more needed", l.name, have, used, need)
			try = append(try, l.try(used+need))
		}
	}
	if len(try) > 0 {
		return &advice.Advice{Problem: "the account may not have what this deployment needs", Try: strings.Join(try, "\n")}
	}
	c.Step(term.Good, 0, "Quotas leave room")
	c.checkConcurrency(ctx)
	c.checkBudget(ctx, s)
	return c.checkPlan(ctx, s)
}

// usualConcurrency is how many functions may run at once in an account that
// has been in use for a while. New ones may run 10, which is no failure: the
// gateway door then takes that many messages at once.
const usualConcurrency = 100

func (c *cloud) checkConcurrency(ctx context.Context) {
	var answer struct {
		AccountLimit struct{ ConcurrentExecutions int }
	}
	err := c.Call(ctx, &answer, "lambda", "get-account-settings")
	if n := answer.AccountLimit.ConcurrentExecutions; err == nil && n > 0 && n < usualConcurrency {
		c.Step(term.Warned, 0, "Only %d functions may run at once in this account: enough for some tens of users at the gateway door. The stream door does not need them.", n)
		c.Hint("%s", c.Fill(advice.Quota("lambda", "L-B99A9384", "1000", "concurrent executions")))
	}
}

// try says how to get a quota of n.
func (l limit) try(n float64) string {
	if l.code == "" {
		return fmt.Sprintf("Delete %s that are not needed.", l.name)
	}
	return advice.Quota(l.service, l.code, fmt.Sprint(n), l.name)
}

// room says how much the account may have, by its own quota or else by every
// account's, and how much it has.
func (c *cloud) room(ctx context.Context, l limit) (have, used float64, err error) {
	var answer struct{ Quota struct{ Value float64 } }
	ask := c.Call
	if l.global {
		ask = c.CallGlobal
	}
	have = l.usual
	if l.code != "" && ask(ctx, &answer, "service-quotas", "get-service-quota", "--service-code", l.service, "--quota-code", l.code) == nil {
		have = answer.Quota.Value
	}
	if l.used != nil {
		used, err = l.used(c, ctx)
	}
	return have, used, err
}

// usedCPUs counts the processors of the instances that run.
func (c *cloud) usedCPUs(ctx context.Context) (n float64, err error) {
	var each []struct{ CoreCount, ThreadsPerCore float64 }
	err = c.Call(ctx, &each, "ec2", "describe-instances", "--filters", "Name=instance-state-name,Values=pending,running",
		"--query", "Reservations[].Instances[].CpuOptions")
	for _, i := range each {
		n += i.CoreCount * max(i.ThreadsPerCore, 1)
	}
	return n, err
}

// count asks an aws command how long a list in its answer is.
func count(service, command, list string) func(*cloud, context.Context) (float64, error) {
	return func(c *cloud, ctx context.Context) (n float64, err error) {
		err = c.Call(ctx, &n, service, command, "--query", "length("+list+")")
		return n, err
	}
}

// countItems is for CloudFront, which gives no list where there is nothing.
func countItems(command, list string) func(*cloud, context.Context) (float64, error) {
	return count("cloudfront", command, list+".Items || `[]`")
}

// checkPlan takes a machine that AWS's free plan has where none was chosen, and
// refuses one that it does not have. AWS would say so when it starts, after all
// that comes before it was made; not even a trial (--dry-run) tells. Who may
// not ask is taken to have a paid plan.
func (c *cloud) checkPlan(ctx context.Context, s cfn.Stack) error {
	var plan struct{ AccountPlanType string }
	kind := c.newMachine(s)
	if kind == "" {
		return nil
	}
	err := c.CallGlobal(ctx, &plan, "freetier", "get-account-plan-state")
	if err != nil && noSuchCommand.MatchString(err.Error()) {
		c.Step(term.Warned, 0, "This AWS command line is too old to say whether the account is on AWS's free plan: if it is, %s", onFreePlan(kind))
	}
	if err != nil || plan.AccountPlanType != "FREE" {
		return ctx.Err()
	}
	c.Step(term.Warned, 0, "The account is on AWS's free plan, which ends with its credits or after six months. AWS then closes the account, and all links end.")
	c.Hint("Upgrade before that, which alone costs nothing: %s", advice.Upgrade)
	return c.machineOfPlan(ctx, s, kind)
}

// noSuchCommand is what a command line says of a service that came after it.
var noSuchCommand = regexp.MustCompile(`(?i)invalid choice`)

// machineOfPlan has a stack that is made have a machine that the free plan has.
func (c *cloud) machineOfPlan(ctx context.Context, s cfn.Stack, kind string) error {
	var has []string
	err := c.Call(ctx, &has, "ec2", "describe-instance-types", "--filters", "Name=free-tier-eligible,Values=true",
		"--query", "InstanceTypes[].InstanceType")
	if err != nil || slices.Contains(has, kind) {
		return ctx.Err()
	}
	small := smallest(kind)
	if !s.Condition().Made() && !c.gives("InstanceType") && slices.Contains(has, small) {
		c.given["InstanceType"] = small
		c.Step(term.Warned, 0, "The free plan has no %s: this takes a %s", kind, small)
		return nil
	}
	return advice.New("Take the smallest that it has: "+onFreePlan(kind)+". Or upgrade the account: "+advice.Upgrade,
		"AWS's free plan has no %s; nothing was changed", kind)
}

// smallest is the machine that the free plan has had since it began, for the
// same processor.
func smallest(kind string) string {
	if family, _, _ := strings.Cut(kind, "."); family == "t3" || family == "c7i" {
		return "t3.micro"
	}
	return "t4g.micro"
}

// onFreePlan is how to deploy with that machine.
func onFreePlan(kind string) string {
	if smallest(kind) == "t3.micro" {
		return "make deploy ARCH=x86_64 INSTANCE=t3.micro"
	}
	return "make deploy INSTANCE=t4g.micro"
}

// newMachine is the type of the machines that a deployment would start; empty
// if it starts none of another type.
func (c *cloud) newMachine(s cfn.Stack) string {
	same := c.chosen("InstanceType", s) == s.Parameter("InstanceType") && c.given["Topology"] == ""
	if s.Condition().Made() && same {
		return ""
	}
	return c.machine(s)
}

// checkBudget leaves the budget out where it cannot be made: its failure would
// take all the rest with it. Who administers an account may still not see its
// bills, until its owner allows that.
func (c *cloud) checkBudget(ctx context.Context, s cfn.Stack) {
	if s.Condition().Made() || c.given["Budget"] == "0" {
		return
	}
	err := c.CallGlobal(ctx, nil, "budgets", "describe-budgets", "--account-id", c.account.ID, "--max-results", "1")
	if err == nil || !noBudget.MatchString(err.Error()) {
		return
	}
	c.given["Budget"] = "0"
	c.Step(term.Warned, 0, "There will be no budget: these credentials may not make one.")
	c.Hint("%s", advice.AllowBudget+" Then: make deploy BUDGET=20")
}

// noBudget is what AWS says to who may not make one.
var noBudget = regexp.MustCompile(`(?i)budgets:(View|Modify|Create)|Access ?Denied|is a linked account`)
