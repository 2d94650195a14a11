package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"culvert/cmd/cloud/internal/cfn"
	"culvert/internal/cost"
	"culvert/internal/term"
)

// estimate shows what a month will cost. It never stops a deployment.
func (c *cloud) estimate(s cfn.Stack) {
	month, prices, err := c.month(s)
	if err != nil {
		c.Step(term.Warned, 0, "No estimate: %v", err)
		return
	}
	c.Title(fmt.Sprintf("What it costs a month (list prices of %s in %s, users in %s)", cost.Date, prices.Region, prices.Edge))
	c.Hint("%s", bill(month))
	c.Hint("All prices and what is assumed: bin/cloud cost --users %d --region %s --edge %s. Pressing Ctrl-C now costs nothing. Users elsewhere: EDGE=name.", c.users, prices.Region, prices.Edge)
}

// month is by the prices that it returns: those of us-east-1 where the region's
// are unknown.
func (c *cloud) month(s cfn.Stack) (cost.Month, cost.Prices, error) {
	prices, err := cost.List(c.Region, c.edge)
	if err != nil {
		prices = cost.USEast1().WithEdge(c.edge)
	}
	fronts := int(needFronts(c.options, cfn.Stack{}))
	if c.given["Distributions"] == "" && s.Parameter("Distributions") != "" {
		fmt.Sscan(s.Parameter("Distributions"), &fronts)
	}
	if c.chosen("Architecture", s) == "x86_64" {
		prices = prices.OnX86()
	}
	month, err := prices.Month(cost.Plan{Users: c.users, MBPerUser: 300, Topology: c.topology(s), InstanceType: c.machine(s),
		AtLeast: fleetMin(c.chosen("FleetMin", s)), Distributions: fronts, Assumptions: cost.Usual()}, cost.AlwaysFree)
	return month, prices, err
}

// fleetMin is how many machines a fleet has at least: the template's two unless
// more are chosen.
func fleetMin(chosen string) int {
	n, _ := strconv.Atoi(chosen)
	return max(n, 2)
}

// topology is the template's unless another is chosen.
func (c *cloud) topology(s cfn.Stack) cost.Topology {
	return cmp.Or(cost.Topology(c.chosen("Topology", s)), cost.Solo)
}

// machine is the type of the origin's machines, as the template chooses it.
func (c *cloud) machine(s cfn.Stack) string {
	family, size := "t4g", "nano"
	if c.chosen("Architecture", s) == "x86_64" {
		family = "t3"
	}
	if c.topology(s) == cost.Fleet {
		size = "small"
	}
	return cmp.Or(c.chosen("InstanceType", s), family+"."+size)
}

// bill is the lines that cost something, and their sum.
func bill(m cost.Month) string {
	var b strings.Builder
	for _, l := range m.Lines {
		if l.Dollars >= 0.005 {
			fmt.Fprintf(&b, "  %-48s %8.2f $\n", l.Item, l.Dollars)
		}
	}
	fmt.Fprintf(&b, "  %-48s %8.2f $\n", fmt.Sprintf("in all, with %d users of %.0f MB each", m.Users, m.MBPerUser), m.Total)
	fmt.Fprintf(&b, "  %-48s %8.2f $", "of which without any user", m.Idle)
	return b.String()
}

// traffic is what was used since the month began, as CloudWatch has it.
type traffic struct {
	down, up, requests    float64 // of CloudFront, in bytes
	messages, connections float64 // of API Gateway; messages of both directions
	calls, milliseconds   float64 // of the functions
	sent                  float64 // bytes that the origin sent, to whomever
	credits               float64 // CPU credits that are charged, beyond the machines' share
	since                 time.Duration
	err                   error // what could not be asked, if anything
}

// traffic asks CloudWatch. What could not be read counts as nothing, and is in
// err.
func (c *cloud) traffic(ctx context.Context, all []cfn.Resource, begin, now time.Time) (t traffic) {
	t.since = now.Sub(begin)
	read := func(m metric, name string, to *float64) {
		n, err := m.sum(ctx, name, begin, now)
		if *to += n; err != nil {
			t.err = err
		}
	}
	for _, id := range cfn.IDs(all, "AWS::CloudFront::Distribution") {
		edge := metric{"AWS/CloudFront", []string{"Name=DistributionId,Value=" + id, "Name=Region,Value=Global"}, c.CallGlobal}
		read(edge, "BytesDownloaded", &t.down)
		read(edge, "BytesUploaded", &t.up)
		read(edge, "Requests", &t.requests)
	}
	for _, id := range cfn.IDs(all, "AWS::ApiGatewayV2::Api") {
		api := metric{"AWS/ApiGateway", []string{"Name=ApiId,Value=" + id}, c.Call}
		read(api, "MessageCount", &t.messages)
		read(api, "ConnectCount", &t.connections)
	}
	for _, name := range cfn.IDs(all, "AWS::Lambda::Function") {
		if t.connections == 0 {
			break // each question takes a second, and nobody called them
		}
		function := metric{"AWS/Lambda", []string{"Name=FunctionName,Value=" + name}, c.Call}
		read(function, "Invocations", &t.calls)
		read(function, "Duration", &t.milliseconds)
	}
	for _, origin := range origins(all) {
		read(metric{"AWS/EC2", []string{origin}, c.Call}, "NetworkOut", &t.sent)
		read(metric{"AWS/EC2", []string{origin}, c.Call}, "CPUSurplusCreditsCharged", &t.credits)
	}
	return t
}

// origins are the dimensions of solo's machine, or of all in the group.
func origins(all []cfn.Resource) (dimensions []string) {
	for _, id := range cfn.IDs(all, "AWS::EC2::Instance") {
		dimensions = append(dimensions, "Name=InstanceId,Value="+id)
	}
	for _, name := range cfn.IDs(all, "AWS::AutoScaling::AutoScalingGroup") {
		dimensions = append(dimensions, "Name=AutoScalingGroupName,Value="+name)
	}
	return dimensions
}

// metric is where CloudWatch keeps something's numbers.
type metric struct {
	namespace  string
	dimensions []string
	ask        func(context.Context, any, ...string) error
}

// sum adds up a month's days. Unlike get-metric-data this way to ask is free,
// up to a million times a month.
func (m metric) sum(ctx context.Context, name string, begin, end time.Time) (n float64, err error) {
	args := append([]string{"cloudwatch", "get-metric-statistics", "--namespace", m.namespace, "--metric-name", name,
		"--statistics", "Sum", "--period", "86400", "--start-time", begin.Format(time.RFC3339), "--end-time", end.Format(time.RFC3339),
		"--query", "Datapoints[].Sum", "--dimensions"}, m.dimensions...)
	var days []float64
	err = m.ask(ctx, &days, args...)
	for _, d := range days {
		n += d
	}
	return n, err
}

// money reckons what the month has cost until now.
func (c *cloud) money(t traffic, s cfn.Stack, now time.Time) {
	if t.err != nil {
		c.Step(term.Warned, 0, "Not all of the traffic could be read: %s", firstLine(c.explain(t.err)))
	}
	c.Step(term.Good, 0, "Stream door: %s to users, %s from them", term.Size(uint64(t.down)), term.Size(uint64(t.up)))
	c.Step(term.Good, 0, "Gateway door: %.0f messages, in %.0f connections", t.messages, t.connections)
	month, prices, err := c.month(s)
	if err != nil {
		c.Step(term.Warned, 0, "No estimate: %v", err)
		return
	}
	spent := month.Idle*t.since.Hours()/cost.Hours + t.cost(month.Topology, prices)
	c.Step(term.Good, 0, "About %.2f $ until now; without any traffic a month is %.2f $", spent, month.Idle)
	if t.credits > 0 {
		c.Step(term.Warned, 0, "Of it %.2f $ for processor time beyond the machine's share. If it stays so, a larger INSTANCE costs less", t.surplus(prices))
	}
	c.pace(spent, now, s)
	c.Hint("Reckoned from list prices of %s with AWS's free allowances, the gateway door at its dearest. "+
		"Your bill: https://console.aws.amazon.com/billing (asking AWS for it from here would cost 0.01 $ each time).", cost.Date)
}

// paceAfter is how much of a month must have passed before it tells what the
// whole will cost.
const paceAfter = 48 * time.Hour

// pace warns where a month that goes on as it began would pass the budget.
// Where there is none, nobody said what is too much.
func (c *cloud) pace(spent float64, now time.Time, s cfn.Stack) {
	begin := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	end, since := begin.AddDate(0, 1, 0), now.Sub(latest(begin, s.Created))
	budget, _ := strconv.ParseFloat(s.Parameter("Budget"), 64)
	if budget <= 0 || since < paceAfter {
		return
	}
	whole := spent + spent/since.Hours()*end.Sub(now).Hours()
	switch {
	case spent > budget:
		c.Step(term.Bad, 0, "That is more than the budget of %.0f $. AWS stops nothing: make destroy ends all cost, make deploy BUDGET=%.0f allows it", budget, math.Ceil(whole))
	case whole > budget:
		c.Step(term.Warned, 0, "At this pace the month comes to about %.2f $, more than the budget of %.0f $", whole, budget)
	}
}

// latest is the later one.
func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// surplus is what CPU credits beyond the machines' share cost.
func (t traffic) surplus(prices cost.Prices) float64 {
	return cost.Total(prices.Bill(cost.Use{cost.SurplusCredits: t.credits / cost.CreditsPerHour}, cost.NothingFree))
}

// cost is what the traffic costs, in dollars, with the processor's time that
// it took.
func (t traffic) cost(topology cost.Topology, prices cost.Prices) float64 {
	use := t.gateway().Use()
	use.Add(t.stream())
	use.Add(cost.Use{cost.SurplusCredits: t.credits / cost.CreditsPerHour})
	if topology == cost.Fleet {
		use.Add(t.balanced())
	}
	return cost.Total(prices.Bill(use, cost.AlwaysFree))
}

// CloudWatch does not tell how long connections lasted, of how many units of
// 32 KB messages were, or the functions' memory, which the template sets.
const (
	longestConnection = 120 // minutes, after which API Gateway ends one
	unit              = 32 << 10
	mostUnits         = 4    // of a message
	textGrowth        = 1.25 // of what the door carries as text
	functionGB        = 256.0 / 1024
)

func (t traffic) gateway() cost.GatewayUse {
	return cost.GatewayUse{
		Messages:          uint64(t.units()),
		ConnectionMinutes: uint64(t.connections * longestConnection),
		Invocations:       uint64(t.calls),
		GBSeconds:         t.milliseconds / 1000 * functionGB,
	}
}

// units are at most those of the messages: one for each, and one more for each
// 32 KB of what the origin sent by this door, to users and to WhatsApp.
func (t traffic) units() float64 {
	text := max(t.sent-t.down-t.up, 0) * textGrowth
	return min(t.messages+text/unit, t.messages*mostUnits)
}

// stream is what CloudFront carried, and what left the region: all that the
// origin sent but what CloudFront took, which is free. Of the rest, what goes
// to WhatsApp is charged there, and what goes to API Gateway when that sends
// it on. A machine that took another's place this month does not tell what
// that sent, which is at least what users sent through it.
func (t traffic) stream() cost.Use {
	return cost.Use{
		cost.EdgeOut:       t.down / cost.GB,
		cost.EdgeToOrigin:  t.up / cost.GB,
		cost.DataOut:       max(t.sent-t.down, t.up) / cost.GB,
		cost.EdgeRequests:  t.requests / 1e6,
		cost.EdgeFunctions: t.requests / 1e6,
	}
}

// balanced is what a fleet's load balancer adds.
func (t traffic) balanced() cost.Use {
	gb := (t.down + t.up) / cost.GB
	return cost.Use{cost.BalancerUnits: gb, cost.ZoneData: gb * cost.Usual().Crossing}
}
