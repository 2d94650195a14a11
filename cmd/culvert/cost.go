package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"culvert/internal/cost"
	"culvert/internal/term"
)

const costAbout = `
Says what a month on AWS costs, item by item, with what is assumed and the
day of the prices: for 100, 10,000 and 1,000,000 users, or for those of --users.

The region is where the origin runs; CloudFront's prices depend on where the
users are, which --edge says. A part of them may come by the gateway door, API
Gateway and Lambda, with --gateway-share.

--day bills a recorded day of the gateway door, for a month of such days. The
file is JSON, in the form that the meter of bin/edge writes:
  {"messages": 0, "connection_minutes": 0, "invocations": 0,
   "gb_seconds": 0, "bytes_out": 0}

Examples:
  culvert cost
  culvert cost --users 500 --topology solo --region eu-central-1
  culvert cost --users 20000 --edge middle-east-africa --gateway-share 10`

// costOptions is the command line of "culvert cost".
type costOptions struct {
	flags     *term.Flags
	plan      cost.Plan
	region    string
	edge      string
	day       string
	x86       bool
	firstYear bool
	asJSON    bool
}

func newCostOptions() *costOptions {
	o := &costOptions{flags: term.NewFlags("culvert cost", "[flags]", costAbout)}
	o.plan.Assumptions = cost.Usual()
	o.flags.IntVar(&o.plan.Users, "users", 0, "`NUMBER` of users; 0 says what an idle relay costs")
	o.flags.Float64Var(&o.plan.MBPerUser, "mb-per-user", 300, "`MB` that a user moves in a month, a quarter of it up")
	o.flags.StringVar((*string)(&o.plan.Topology), "topology", "", "`WORD`: solo, one instance, or fleet, several behind a load balancer; solo unless users need more than the smallest instance")
	o.flags.StringVar(&o.region, "region", "us-east-1", "`NAME` of AWS's region")
	o.flags.StringVar(&o.edge, "edge", "europe", "`NAME` of the part of the world, among CloudFront's, that the users are in")
	o.flags.Func("gateway-share", "`PERCENT` of the users who come by the gateway door (default 0)", o.share)
	o.flags.IntVar(&o.plan.Distributions, "distributions", 1, "`NUMBER` of CloudFront distributions")
	o.flags.BoolVar(&o.x86, "x86", false, "functions are built for x86 instead of arm64")
	o.flags.BoolVar(&o.firstYear, "first-year", false, "take off what is free for the first 12 months of an account, too")
	o.flags.StringVar(&o.day, "day", "", "`FILE` with a recorded day of the gateway door")
	o.flags.BoolVar(&o.asJSON, "json", false, "print JSON")
	return o
}

// share takes "12.5" and "12.5%".
func (o *costOptions) share(text string) error {
	percent, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	o.plan.GatewayShare = percent / 100
	return err
}

func runCost(_ context.Context, args []string, stdout, _ io.Writer) error {
	o := newCostOptions()
	if err := o.flags.ParseNone(args, stdout); err != nil {
		return err
	}
	prices, err := cost.List(o.region, o.edge)
	if err != nil {
		return o.flags.Wrong("%v", err)
	}
	if o.x86 {
		prices = prices.OnX86()
	}
	if o.day != "" {
		return o.billDay(stdout, prices)
	}
	return o.estimate(stdout, prices)
}

func (o *costOptions) free() cost.Free {
	if o.firstYear {
		return cost.FirstYear
	}
	return cost.AlwaysFree
}

// costEstimate is what --json prints.
type costEstimate struct {
	Version  int           `json:"version"`
	Date     string        `json:"date"` // of the prices
	Region   string        `json:"region"`
	Edge     string        `json:"edge"`
	Inferred []cost.Item   `json:"inferred"` // items whose prices were not read from a list
	Months   []cost.Month  `json:"months"`
	Stream   cost.Marginal `json:"stream_door"` // what a little more costs, in the last of months
	Gateway  cost.Marginal `json:"gateway_door"`
}

// estimate prints what the users cost.
func (o *costOptions) estimate(w io.Writer, p cost.Prices) error {
	numbers := []int{100, 10_000, 1_000_000}
	if o.flags.Given("users") {
		numbers = []int{o.plan.Users}
	}
	e := costEstimate{Version: 1, Date: cost.Date, Region: p.Region, Edge: p.Edge}
	var types []string
	for _, n := range numbers {
		o.plan.Users = n
		m, err := p.Month(o.plan, o.free())
		if err != nil {
			return o.flags.Wrong("%v", err)
		}
		e.Months, types = append(e.Months, m), append(types, m.Instance)
	}
	e.Inferred = p.Inferred(types...)
	e.Stream, e.Gateway = p.Marginal(e.Months[len(e.Months)-1].Plan)
	if o.asJSON {
		return printJSON(w, e)
	}
	return e.print(w, o.firstYear)
}

// costDay is what --day and --json print.
type costDay struct {
	Version int             `json:"version"`
	Date    string          `json:"date"` // of the prices
	Region  string          `json:"region"`
	Day     cost.GatewayUse `json:"day"`
	Lines   []cost.Line     `json:"lines"` // of a month
	Total   float64         `json:"total"`
}

// billDay prints what a month of a recorded day costs.
func (o *costOptions) billDay(w io.Writer, p cost.Prices) error {
	if o.flags.Given("users") {
		return o.flags.Wrong("--day bills what was recorded; leave out --users")
	}
	b, err := term.ReadSmall(o.day)
	if err != nil {
		return fmt.Errorf("read day: %w", err)
	}
	day, err := cost.ReadGatewayUse(b)
	if err != nil {
		return fmt.Errorf("read day: %s: %w", o.day, err)
	}
	lines := p.Bill(day.Use().Times(cost.Days), o.free())
	d := costDay{1, cost.Date, p.Region, day, lines, cost.Total(lines)}
	if o.asJSON {
		return printJSON(w, d)
	}
	return d.print(w, o.firstYear)
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
