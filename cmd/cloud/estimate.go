package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"culvert/internal/cost"
)

// estimate shows what a month will cost. It never stops a deployment.
func (c *cloud) estimate(s stack) {
	month, region, err := c.month(s)
	if err != nil {
		c.note("No estimate: %v", err)
		return
	}
	c.title(fmt.Sprintf("What it costs a month (list prices of %s in %s)", cost.Date, region))
	c.hint("%s", bill(month))
	c.hint("All prices and what is assumed: bin/cloud cost --users %d --region %s. Pressing Ctrl-C now costs nothing.", c.users, region)
}

// month is by the prices of us-east-1 where those of the region are unknown.
func (c *cloud) month(s stack) (cost.Month, string, error) {
	prices, err := cost.List(c.region, "europe")
	if err != nil {
		prices = cost.USEast1()
	}
	fronts := int(needFronts(c.options, stack{}))
	if c.given["Distributions"] == "" && s.parameter("Distributions") != "" {
		fmt.Sscan(s.parameter("Distributions"), &fronts)
	}
	if c.chosen("Architecture", s) == "x86_64" {
		prices = prices.OnX86()
	}
	month, err := prices.Month(cost.Plan{Users: c.users, MBPerUser: 300, Topology: c.topology(s), InstanceType: c.machine(s),
		AtLeast: fleetMin(c.chosen("FleetMin", s)), Distributions: fronts, Assumptions: cost.Usual()}, cost.AlwaysFree)
	return month, prices.Region, err
}

// fleetMin is how many machines a fleet has at least: the template's two unless
// more are chosen.
func fleetMin(chosen string) int {
	n, _ := strconv.Atoi(chosen)
	return max(n, 2)
}

// topology is the template's unless another is chosen.
func (c *cloud) topology(s stack) cost.Topology {
	return cmp.Or(cost.Topology(c.chosen("Topology", s)), cost.Solo)
}

// machine is the type of the origin's machines, as the template chooses it.
func (c *cloud) machine(s stack) string {
	family, size := "t4g", "nano"
	if c.chosen("Architecture", s) == "x86_64" {
		family = "t3"
	}
	if c.topology(s) == cost.Fleet {
		size = "small"
	}
	return cmp.Or(c.chosen("InstanceType", s), family+"."+size)
}

// chosen is the parameter as given, or as the stack has it.
func (c *cloud) chosen(key string, s stack) string {
	if v, ok := c.given[key]; ok {
		return v
	}
	return s.parameter(key)
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
