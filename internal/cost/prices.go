// Package cost says what Culvert costs a month on AWS: list prices with their
// sources, what a number of users needs, and the bill that follows.
package cost

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Item is a line of the bill.
type Item string

// The items, in the order in which a bill lists them.
const (
	Instances         Item = "EC2 instances"           // their rate is their type's
	SurplusCredits    Item = "EC2 surplus CPU credits" // of types that have a share of a processor
	Disks             Item = "EBS gp3 disks"
	Addresses         Item = "Public IPv4 addresses"
	Balancer          Item = "Network load balancer"
	BalancerUnits     Item = "Load balancer units (NLCU)"
	Secrets           Item = "Secrets Manager secrets"
	Alarms            Item = "CloudWatch alarms"
	Logs              Item = "CloudWatch logs"
	Storage           Item = "S3, for packages and layers"
	EdgeOut           Item = "CloudFront to users"
	EdgeToOrigin      Item = "CloudFront to the origin"
	EdgeRequests      Item = "CloudFront requests"
	EdgeFunctions     Item = "CloudFront Functions"
	ZoneData          Item = "Data between zones"
	DataOut           Item = "Data out of the region" // of EC2 and API Gateway: AWS adds them up
	Messages          Item = "API Gateway messages"
	ConnectionMinutes Item = "API Gateway connections"
	Requests          Item = "Lambda requests"
	Duration          Item = "Lambda duration"
)

// Items is all of them, in order.
var Items = []Item{
	Instances, SurplusCredits, Disks, Addresses, Balancer, BalancerUnits, Secrets, Alarms, Logs, Storage,
	EdgeOut, EdgeToOrigin, EdgeRequests, EdgeFunctions, ZoneData, DataOut,
	Messages, ConnectionMinutes, Requests, Duration,
}

// Use is a month's use of each item, in the unit of its rate.
type Use map[Item]float64

// Add adds v to u.
func (u Use) Add(v Use) {
	for item, units := range v {
		u[item] += units
	}
}

// Line is one line of a bill.
type Line struct {
	Item    Item    `json:"item"`
	Units   float64 `json:"units"`
	Unit    string  `json:"unit"`
	Dollars float64 `json:"dollars"`
}

// Total is what all lines cost together.
func Total(lines []Line) (dollars float64) {
	for _, l := range lines {
		dollars += l.Dollars
	}
	return dollars
}

// GB is AWS's unit of data: prices per GB, and the limits of their bands, are
// in these. TB is 1,024 of them.
const GB = 1 << 30

// Hours and Days are what AWS's calculator takes for a month.
const (
	Hours = 730
	Days  = Hours / 24.0
)

// Rate is the price of one item: what a unit of it costs in US dollars.
type Rate struct {
	Unit     string
	Bands    []Band  // by a month's use, in ascending order
	Free     float64 // units a month that cost nothing; they count in the first band
	Ends     bool    // Free is for the first 12 months of an account only
	Source   string  // where the price stands
	Inferred bool    // not read from a list for this region, but taken from another
}

// Band is the price of the units up to a month's use of UpTo.
type Band struct{ UpTo, Price float64 }

// Free says which free allowances a bill takes off.
type Free int

const (
	NothingFree Free = iota // what one more unit costs
	AlwaysFree              // the allowances that never end
	FirstYear               // those of a new account as well
)

// Cost is what a month's use of units costs.
func (r Rate) Cost(units float64, free Free) float64 {
	from := 0.0
	if free == FirstYear || free == AlwaysFree && !r.Ends {
		from = min(r.Free, units)
	}
	dollars := 0.0
	for _, b := range r.Bands {
		if to := min(units, b.UpTo); to > from {
			dollars += (to - from) * b.Price
			from = to
		}
	}
	return dollars
}

// Date is the day on which the prices were collected: AWS's list prices,
// without tax. Look again before you rely on them.
const Date = "2026-11-22"

// Prices is a price list.
type Prices struct {
	Region string          `json:"region"`
	Edge   string          `json:"edge"` // where the users are, as CloudFront divides the world
	Rates  map[Item]Rate   `json:"-"`
	Types  map[string]Rate `json:"-"` // of EC2 instances, by type
}

const tb = 1024 // GB

// USEast1 is the list of us-east-1, with users in Europe.
func USEast1() Prices {
	p := Prices{Region: "us-east-1", Types: instanceTypes(), Rates: map[Item]Rate{
		SurplusCredits:    {Unit: "vCPU-hours", Bands: flat(0.04), Source: computing}, // of T4g
		Disks:             {Unit: "GB", Bands: flat(0.08), Source: "aws.amazon.com/ebs/pricing"},
		Addresses:         {Unit: "hours", Bands: flat(0.005), Source: "aws.amazon.com/vpc/pricing"},
		Balancer:          {Unit: "hours", Bands: flat(0.0225), Source: balancing},
		BalancerUnits:     {Unit: "NLCU-hours", Bands: flat(0.006), Source: balancing},
		Secrets:           {Unit: "secrets", Bands: flat(0.40), Source: "aws.amazon.com/secrets-manager/pricing"},
		Alarms:            {Unit: "alarms", Bands: flat(0.10), Free: 10, Source: watching},
		Logs:              {Unit: "GB", Bands: flat(0.50), Free: 5, Source: watching},
		Storage:           {Unit: "GB", Bands: flat(0.023), Source: "aws.amazon.com/s3/pricing"},
		EdgeFunctions:     {Unit: "million", Bands: flat(0.10), Free: 2, Source: edgeSource},
		ZoneData:          {Unit: "GB", Bands: flat(0.02), Source: computing}, // 0.01 at each end
		DataOut:           {Unit: "GB", Bands: bands(10*tb, 0.09, 50*tb, 0.085, 150*tb, 0.07, 0.05), Free: 100, Source: computing},
		Messages:          {Unit: "million", Bands: bands(1000, 1.00, 0.80), Free: 1, Ends: true, Source: gateways},
		ConnectionMinutes: {Unit: "million min", Bands: flat(0.25), Free: 0.75, Ends: true, Source: gateways},
		Requests:          {Unit: "million", Bands: flat(0.20), Free: 1, Source: functions},
		Duration:          {Unit: "GB-s", Bands: flat(perGBSecondArm), Free: 400_000, Source: functions},
	}}
	return p.WithEdge("europe")
}

// Lambda's prices of a GB-second. Our functions run on arm64 unless the
// template's parameter says otherwise.
const (
	perGBSecondArm = 0.0000133334
	perGBSecondX86 = 0.0000166667
)

// Where prices stand.
const (
	balancing = "aws.amazon.com/elasticloadbalancing/pricing"
	watching  = "aws.amazon.com/cloudwatch/pricing"
	computing = "aws.amazon.com/ec2/pricing/on-demand"
	gateways  = "aws.amazon.com/api-gateway/pricing"
	functions = "aws.amazon.com/lambda/pricing"
)

// CreditsPerHour is how many CPU credits an hour of a vCPU takes: each is a minute.
const CreditsPerHour = 60

// perCreditHourX86 is what a vCPU-hour of surplus credits costs of T3.
const perCreditHourX86 = 0.05

// OnX86 is p for functions and machines built for x86.
func (p Prices) OnX86() Prices {
	credits := p.Rates[SurplusCredits]
	credits.Bands = flat(perCreditHourX86)
	p = p.with(SurplusCredits, credits)
	r := p.Rates[Duration]
	r.Bands = flat(r.Bands[0].Price / perGBSecondArm * perGBSecondX86)
	return p.with(Duration, r)
}

// with is p with another rate; p stays as it was.
func (p Prices) with(item Item, r Rate) Prices {
	p.Rates = maps.Clone(p.Rates)
	p.Rates[item] = r
	return p
}

// Bill is what a month's use costs, in order of items.
func (p Prices) Bill(u Use, free Free) []Line {
	var lines []Line
	for _, item := range Items {
		if units := u[item]; units > 0 {
			r := p.Rates[item]
			lines = append(lines, Line{item, units, r.Unit, r.Cost(units, free)})
		}
	}
	return lines
}

// Inferred lists the items whose prices were not read from a list for p's
// region and edge, in order; of instances those of types count.
func (p Prices) Inferred(types ...string) (items []Item) {
	instances := slices.ContainsFunc(types, func(t string) bool { return p.Types[t].Inferred })
	for _, item := range Items {
		if p.Rates[item].Inferred || item == Instances && instances {
			items = append(items, item)
		}
	}
	return items
}

const edgeSource = "aws.amazon.com/cloudfront/pricing"

// edge is what CloudFront costs users of a part of the world: per GB to them
// and to the origin, and per million HTTPS requests.
type edge struct {
	out                []Band
	toOrigin, requests float64
}

// edges are by where the users' connections end. The last two prices are those
// of AWS's price list, as infracost's tests print it (cloudfront_distribution).
var edges = map[string]edge{
	"us":                 {edgeBands(0.085, 0.080, 0.060, 0.040, 0.030, 0.025, 0.020), 0.020, 1.00},
	"europe":             {edgeBands(0.085, 0.080, 0.060, 0.040, 0.030, 0.025, 0.020), 0.020, 1.20},
	"middle-east-africa": {edgeBands(0.110, 0.105, 0.090, 0.080, 0.060, 0.050, 0.050), 0.060, 1.20},
	"south-america":      {edgeBands(0.110, 0.105, 0.090, 0.080, 0.060, 0.050, 0.050), 0.125, 2.20},
	"india":              {edgeBands(0.109, 0.085, 0.082, 0.080, 0.078, 0.075, 0.072), 0.160, 1.20},
	"asia":               {edgeBands(0.120, 0.100, 0.095, 0.090, 0.080, 0.070, 0.060), 0.060, 1.20},
	"japan":              {edgeBands(0.114, 0.089, 0.086, 0.084, 0.080, 0.070, 0.060), 0.060, 1.20},
	"australia":          {edgeBands(0.114, 0.098, 0.094, 0.092, 0.090, 0.085, 0.080), 0.080, 1.25},
}

// Edges names all edges.
func Edges() string { return names(edges) }

// HasEdge says whether there are prices for an edge.
func HasEdge(name string) bool { _, known := edges[name]; return known }

// edgeBands are CloudFront's: up to 10, 50, 150 and 500 TB, 1 and 5 PB, more.
func edgeBands(a, b, c, d, e, f, g float64) []Band {
	return bands(10*tb, a, 50*tb, b, 150*tb, c, 500*tb, d, 1024*tb, e, 5*1024*tb, f, g)
}

// bands are pairs of a limit and the price up to it, then the price beyond.
func bands(pairs ...float64) (all []Band) {
	for len(pairs) > 1 {
		all, pairs = append(all, Band{pairs[0], pairs[1]}), pairs[2:]
	}
	return append(all, Band{math.Inf(1), pairs[0]})
}

// flat is a price without bands.
func flat(price float64) []Band { return bands(price) }

// WithEdge is p for users near an edge that HasEdge knows.
func (p Prices) WithEdge(name string) Prices {
	e := edges[name]
	p.Edge = name
	p = p.with(EdgeOut, Rate{Unit: "GB", Bands: e.out, Free: tb, Source: edgeSource})
	p = p.with(EdgeToOrigin, Rate{Unit: "GB", Bands: flat(e.toOrigin), Source: edgeSource})
	return p.with(EdgeRequests, Rate{Unit: "million", Bands: flat(e.requests), Free: 10, Source: edgeSource})
}

// abroad is how a region's prices differ from those of us-east-1. Prices that
// are not here are taken to be the same, which we have read nowhere.
type abroad struct {
	compute float64 // times what EC2 instances cost
	prices  map[Item]float64
	listed  []Item // of these the price was read from a list
}

// regions are those with a price list. The three of the United States have the
// same one.
var regions = map[string]abroad{
	"us-east-1": {compute: 1},
	"us-east-2": {compute: 1},
	"us-west-2": {compute: 1},
	"eu-central-1": {
		compute: 0.0768 / 0.0672, // of a t4g.large
		prices:  map[Item]float64{Disks: 0.0952, Balancer: 0.027, BalancerUnits: 0.006, Logs: 0.63, Storage: 0.0245},
		listed:  []Item{Instances, Disks, Addresses, Alarms, DataOut, Requests},
	},
	"eu-west-1": {
		compute: 0.0368 / 0.0336, // of a t4g.medium
		prices:  map[Item]float64{Disks: 0.088, Balancer: 0.0252, BalancerUnits: 0.006, Logs: 0.57},
		listed:  []Item{Instances, Addresses, Alarms, DataOut},
	},
}

// everywhere are the items that cost the same in all regions.
var everywhere = []Item{SurplusCredits, EdgeOut, EdgeToOrigin, EdgeRequests, EdgeFunctions}

// List is the price list of a region for users near an edge. An error names
// the regions or the edges that there are.
func List(region, edge string) (Prices, error) {
	if _, known := regions[region]; !known {
		return Prices{}, fmt.Errorf("no prices for region %q; there are lists for %s", region, names(regions))
	}
	if _, known := edges[edge]; !known {
		return Prices{}, fmt.Errorf("no prices for edge %q; CloudFront has %s", edge, names(edges))
	}
	return USEast1().WithEdge(edge).in(region), nil
}

func names[V any](m map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}

// in is p, the list of us-east-1, for a region that regions has.
func (p Prices) in(region string) Prices {
	a := regions[region]
	p.Region = region
	for item, price := range a.prices {
		r := p.Rates[item]
		r.Bands = flat(price)
		p = p.with(item, r)
	}
	if strings.HasPrefix(region, "us-") {
		return p
	}
	for item, r := range p.Rates {
		r.Inferred = r.Inferred || !slices.Contains(a.listed, item) && !slices.Contains(everywhere, item)
		p = p.with(item, r)
	}
	for name, r := range p.Types {
		r.Bands = flat(r.Bands[0].Price * a.compute)
		r.Inferred = r.Inferred || !slices.Contains(a.listed, Instances)
		p.Types[name] = r
	}
	return p
}
