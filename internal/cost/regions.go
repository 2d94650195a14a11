package cost

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

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
var everywhere = []Item{EdgeOut, EdgeToOrigin, EdgeRequests, EdgeFunctions}

// List is the price list of a region for users near an edge. An error names
// the regions or the edges that there are.
func List(region, edge string) (Prices, error) {
	if _, known := regions[region]; !known {
		return Prices{}, fmt.Errorf("no prices for region %q; there are lists for %s", region, names(regions))
	}
	if _, known := edges[edge]; !known {
		return Prices{}, fmt.Errorf("no prices for edge %q; CloudFront has %s", edge, names(edges))
	}
	return USEast1().withEdge(edge).in(region), nil
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
