package main

import (
	"context"
	"fmt"
	"io"
	"slices"
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
file is JSON, in the form that the meter of bin/local gateway writes:
  {"messages": 0, "connection_minutes": 0, "invocations": 0,
   "gb_seconds": 0, "bytes_out": 0}

Examples:
  cloud cost
  cloud cost --users 500 --topology solo --region eu-central-1
  cloud cost --users 20000 --edge middle-east-africa --gateway-share 10`

// costOptions is the command line of "cloud cost".
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
	o := &costOptions{flags: term.NewFlags("cloud cost", "[flags]", costAbout)}
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
		return term.JSON(w, e)
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
		return term.JSON(w, d)
	}
	return d.print(w, o.firstYear)
}

// print writes the estimate for people: one month with what it uses, several
// side by side.
func (e costEstimate) print(w io.Writer, firstYear bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "A month on AWS in dollars: origin in %s, users in %s\n\n", e.Region, e.Edge)
	if len(e.Months) == 1 {
		monthTable(&b, e.Months[0])
	} else {
		monthsTable(&b, e.Months)
	}
	e.marginalTable(&b)
	b.WriteString("\nAssumed\n")
	for _, text := range e.assumed(firstYear) {
		point(&b, text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func monthTable(b *strings.Builder, m cost.Month) {
	fmt.Fprintf(b, "  %s users, %s of %d × %s\n", thousands(m.Users), m.Topology, m.Instances, m.Instance)
	billTable(b, m.Lines, m.Total)
	if m.Users > 0 {
		fmt.Fprintf(b, "  %-26s%52s\n", "For each user", smallDollars(m.PerUser))
	}
	fmt.Fprintf(b, "  %-26s%52s\n", "Of it without traffic", dollars(m.Idle))
}

// billTable writes lines with their amounts, and the total.
func billTable(b *strings.Builder, lines []cost.Line, total float64) {
	for _, l := range lines {
		fmt.Fprintf(b, "  %-30s%20s %-14s%13s\n", l.Item, amount(l.Units), l.Unit, dollars(l.Dollars))
	}
	fmt.Fprintf(b, "  %-30s%48s\n", "In all", dollars(total))
}

func monthsTable(b *strings.Builder, months []cost.Month) {
	row(b, "Users", months, func(m cost.Month) string { return thousands(m.Users) })
	row(b, "Topology", months, func(m cost.Month) string { return string(m.Topology) })
	row(b, "Instances", months, func(m cost.Month) string { return fmt.Sprintf("%d × %s", m.Instances, m.Instance) })
	for _, item := range cost.Items {
		used := func(l cost.Line) bool { return l.Item == item }
		if !slices.ContainsFunc(months, func(m cost.Month) bool { return slices.ContainsFunc(m.Lines, used) }) {
			continue
		}
		row(b, string(item), months, func(m cost.Month) string {
			if i := slices.IndexFunc(m.Lines, used); i >= 0 {
				return dollars(m.Lines[i].Dollars)
			}
			return "–"
		})
	}
	row(b, "In all", months, func(m cost.Month) string { return dollars(m.Total) })
	row(b, "For each user", months, func(m cost.Month) string { return smallDollars(m.PerUser) })
	row(b, "Of it without traffic", months, func(m cost.Month) string { return dollars(m.Idle) })
}

// row is a line of monthsTable.
func row(b *strings.Builder, name string, months []cost.Month, text func(cost.Month) string) {
	fmt.Fprintf(b, "  %-29s", name)
	for _, m := range months {
		fmt.Fprintf(b, "%16s", text(m))
	}
	b.WriteString("\n")
}

// marginalTable compares the doors.
func (e costEstimate) marginalTable(b *strings.Builder) {
	fmt.Fprintf(b, "\n%-45s%16s%17s\n", "One more, when nothing is free any longer", "stream door", "gateway door")
	for _, l := range []struct {
		what            string
		stream, gateway float64
	}{
		{"GB to users", e.Stream.Down, e.Gateway.Down},
		{"GB from users, and on to WhatsApp", e.Stream.Up, e.Gateway.Up},
		{"connection, idle all month", e.Stream.Idle, e.Gateway.Idle},
		{fmt.Sprintf("user of %s MB a month", trimmed(e.Months[0].MBPerUser)), e.Stream.User, e.Gateway.User},
	} {
		fmt.Fprintf(b, "  %-43s%16s%17s\n", l.what, smallDollars(l.stream), smallDollars(l.gateway))
	}
}

// print writes the bill of a recorded day for people.
func (d costDay) print(w io.Writer, firstYear bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "The gateway door in %s in dollars, a month of %.1f days like the recorded one\n\n", d.Region, cost.Days)
	billTable(&b, d.Lines, d.Total)
	b.WriteString("\n")
	point(&b, freeText(firstYear))
	point(&b, pricesText())
	_, err := io.WriteString(w, b.String())
	return err
}

// point writes one of several things to say.
func point(b *strings.Builder, text string) {
	fmt.Fprintf(b, "- %s\n", strings.Join(term.Wrap(text, term.TextWidth-2), "\n  "))
}

func dollars(v float64) string { return separated(fmt.Sprintf("%.2f", v)) }

// smallDollars is for what often costs less than a cent.
func smallDollars(v float64) string { return separated(fmt.Sprintf("%.4f", v)) }

// amount shows two digits at least.
func amount(v float64) string {
	if v < 100 {
		return dollars(v)
	}
	return separated(fmt.Sprintf("%.0f", v))
}

func thousands(n int) string { return separated(strconv.Itoa(n)) }

// separated has a comma between each three digits before the point.
func separated(number string) string {
	whole, rest, pointed := strings.Cut(number, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if pointed {
		whole += "." + rest
	}
	return whole
}

// assumed is what the estimate takes for granted, in sentences.
func (e costEstimate) assumed(firstYear bool) []string {
	m := e.Months[len(e.Months)-1]
	a := m.Assumptions
	texts := []string{
		fmt.Sprintf("A user moves %s MB a month, %.0f %% of it down; 1,024 MB are a GB. Pings add %s MB down for each connection open all month.", trimmed(m.MBPerUser), a.Down*100, trimmed(a.PingMB)),
		fmt.Sprintf("%.0f %% of the users are connected at once, and the busiest minutes carry %s times the average. A user opens %s WebSockets a day; each is a request to CloudFront and a call of its function.", a.Online*100, trimmed(a.Peak), trimmed(a.Carriers)),
		fmt.Sprintf("An instance is filled to %.0f %% of its network's baseline, and of its memory with %s kB for a connected user, measured. Its disk has %s GB.", a.Fill*100, trimmed(a.ClientMemory/1000), trimmed(a.DiskGB)),
		fmt.Sprintf("%s secrets are kept: two for each of the two generations of a rotation. A distribution costs an alarm, and what the origin sends to CloudFront nothing.", trimmed(a.Secrets)),
	}
	if m.Topology == cost.Fleet {
		texts = append(texts, fmt.Sprintf("Of the load balancer's traffic %.0f %% goes to an instance in another zone.", a.Crossing*100))
	}
	return append(append(texts, e.gatewayAssumed()...), freeText(firstYear), pricesText()+e.inferredText())
}

// gatewayAssumed is about the gateway door, which the table of doors shows even
// where nobody uses it.
func (e costEstimate) gatewayAssumed() []string {
	m := e.Months[len(e.Months)-1]
	a := m.Assumptions
	texts := []string{fmt.Sprintf("By the gateway door come %s %% of the users. There a MB takes %s messages of API Gateway, %s of them acks, and grows by %.0f %% as text; a user asks %s times a day for something of chat, in %s messages each; an idle connection sends %s messages a month. A call of a function takes %.4f GB-s and logs nothing unless it fails. The origin's posts to API Gateway stay in the region and cost nothing.",
		trimmed(m.GatewayShare*100), trimmed(a.Units), trimmed(a.Acks), (a.Growth-1)*100, trimmed(a.Chats), trimmed(a.PerChat), trimmed(a.KeepAlive), a.FunctionS)}
	for _, m := range e.Months {
		if m.Messages > cost.MessageQuota {
			texts = append(texts, fmt.Sprintf("With %s users API Gateway carries up to %s messages a second: ask AWS to raise its quota of %s.", thousands(m.Users), amount(m.Messages), thousands(cost.MessageQuota)))
		}
	}
	return texts
}

func freeText(firstYear bool) string {
	if firstYear {
		return "What is free each month is taken off, also what ends after an account's first 12 months: 1 million messages and 750,000 connection minutes of API Gateway."
	}
	return "What is free each month without end is taken off, for an account with nothing else in it; what ends after 12 months is not (--first-year)."
}

func pricesText() string {
	return "Prices are AWS's list prices of " + cost.Date + ", without tax."
}

// inferredText names the prices to look up before relying on them.
func (e costEstimate) inferredText() string {
	if len(e.Inferred) == 0 {
		return ""
	}
	var names []string
	for _, item := range e.Inferred {
		names = append(names, string(item))
	}
	return " Inferred from other regions, or from older lists: " + strings.Join(names, ", ") + "."
}

// trimmed has no more digits than it needs.
func trimmed(v float64) string { return separated(fmt.Sprintf("%.6g", v)) }
