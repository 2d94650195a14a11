package cost

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// List is the price list of a region for users near the edges of a part of the
// world. An error names the regions or edges that there are.
func List(region, edge string) (Prices, error) {
	if !slices.Contains(regions, region) {
		return Prices{}, fmt.Errorf("no prices for region %q; there are lists for %s", region, strings.Join(regions, ", "))
	}
	if _, known := edges[edge]; !known {
		return Prices{}, fmt.Errorf("no prices for edge %q; CloudFront has %s", edge, names(edges))
	}
	p := USEast1().withEdge(edge)
	p.Region = region
	return p, nil
}

func names[V any](m map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}

// regions are those with a price list.
var regions = []string{"us-east-1"}
