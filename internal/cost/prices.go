package cost

import (
	"maps"
	"slices"
)

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
	return p.withEdge("europe")
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

// OnX86 is p for functions built for x86.
func (p Prices) OnX86() Prices {
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
