package main

import (
	"context"
	"fmt"
	"strings"
)

// limit is a quota of the account that a deployment may run into.
type limit struct {
	name          string
	service, code string // in Service Quotas; no code: it cannot be asked for
	usual         float64
	global        bool
	need          func(options, stack) float64
	used          func(*cloud, context.Context) (float64, error)
}

var limits = []limit{
	{"vCPUs", "ec2", "L-1216C47A", 5, false, needCPUs, (*cloud).usedCPUs},
	{"networks (VPCs)", "vpc", "L-F678F1CE", 5, false, once, count("ec2", "describe-vpcs", "Vpcs")},
	{"CloudFront distributions", "cloudfront", "L-24B04930", 200, true, needFronts, countItems("list-distributions", "DistributionList")},
	{"CloudFront VPC origins", "cloudfront", "", 25, true, once, countItems("list-vpc-origins", "VpcOriginList")},
	{"API Gateway requests a second", "apigateway", "L-8A5B8E43", 10_000, false, needRate, unused},
}

// once is for what a stack has one of, and has already if it stands.
func once(_ options, s stack) float64 {
	if conditionOf(s.Status).made() {
		return 0
	}
	return 1
}

// needCPUs is for types with two each, or four. A fleet's machines are replaced
// while those before them are still drained: CloudFormation does not wait for
// that.
func needCPUs(o options, s stack) float64 {
	topology, given := o.given["Topology"]
	each := 2.0
	if strings.HasSuffix(o.given["InstanceType"], ".xlarge") {
		each = 4
	}
	switch {
	case conditionOf(s.Status).made() && (!given || topology == s.parameter("Topology")):
		return 0
	case topology == "fleet":
		return each * 2 * float64(fleetMin(o.given["FleetMin"]))
	}
	return each
}

func needFronts(o options, s stack) float64 {
	var wanted, have float64 = 1, 0
	if n := o.given["Distributions"]; n != "" {
		fmt.Sscan(n, &wanted)
	}
	if conditionOf(s.Status).made() {
		fmt.Sscan(s.parameter("Distributions"), &have)
	}
	return max(wanted-have, 0)
}

// needRate is for another rate of messages than the usual one, each of which
// has an answer. Quotas are a rate, too, so that others' use is not counted.
func needRate(o options, _ stack) (n float64) {
	fmt.Sscan(o.given["MessageRate"], &n)
	return 2 * n
}

func unused(*cloud, context.Context) (float64, error) { return 0, nil }

// checkQuotas says all that is missing, not the first only. A quota that
// cannot be asked for is left to the deployment, which says so if it matters.
func (c *cloud) checkQuotas(ctx context.Context, s stack) error {
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
			c.note("Quota of %s not checked: %s", l.name, firstLine(err))
		case used+need > have:
			c.bad("Quota of %s: %g allowed, %g in use, %g more needed", l.name, have, used, need)
			try = append(try, l.try(used+need))
		}
	}
	if len(try) > 0 {
		return &advice{problem: "the account may not have what this deployment needs", try: strings.Join(try, "\n")}
	}
	c.good("Quotas leave room")
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
	err := c.aws(ctx, &answer, "lambda", "get-account-settings")
	if n := answer.AccountLimit.ConcurrentExecutions; err == nil && n > 0 && n < usualConcurrency {
		c.note("Only %d functions may run at once in this account: enough for some tens of users at the gateway door. The stream door does not need them.", n)
		c.hint("%s", c.fill(quota("lambda", "L-B99A9384", "1000", "concurrent executions")))
	}
}

// try is how to get a quota of n.
func (l limit) try(n float64) string {
	if l.code == "" {
		return fmt.Sprintf("Delete %s that are not needed.", l.name)
	}
	return quota(l.service, l.code, fmt.Sprint(n), l.name)
}

// room is what the account may have, its own quota or else every account's,
// and what it has.
func (c *cloud) room(ctx context.Context, l limit) (have, used float64, err error) {
	var answer struct{ Quota struct{ Value float64 } }
	ask := c.aws
	if l.global {
		ask = c.global
	}
	have = l.usual
	if l.code != "" && ask(ctx, &answer, "service-quotas", "get-service-quota", "--service-code", l.service, "--quota-code", l.code) == nil {
		have = answer.Quota.Value
	}
	used, err = l.used(c, ctx)
	return have, used, err
}

// usedCPUs counts those of the instances that run.
func (c *cloud) usedCPUs(ctx context.Context) (n float64, err error) {
	var each []struct{ CoreCount, ThreadsPerCore float64 }
	err = c.aws(ctx, &each, "ec2", "describe-instances", "--filters", "Name=instance-state-name,Values=pending,running",
		"--query", "Reservations[].Instances[].CpuOptions")
	for _, i := range each {
		n += i.CoreCount * max(i.ThreadsPerCore, 1)
	}
	return n, err
}

func count(service, command, list string) func(*cloud, context.Context) (float64, error) {
	return func(c *cloud, ctx context.Context) (n float64, err error) {
		err = c.aws(ctx, &n, service, command, "--query", "length("+list+")")
		return n, err
	}
}

// countItems is for CloudFront, which gives no list where there is nothing.
func countItems(command, list string) func(*cloud, context.Context) (float64, error) {
	return count("cloudfront", command, list+".Items || `[]`")
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return line
}
