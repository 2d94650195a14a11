package cost

import "math"

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

// withEdge is p for users near an edge that edges has.
func (p Prices) withEdge(name string) Prices {
	e := edges[name]
	p.Edge = name
	p = p.with(EdgeOut, Rate{Unit: "GB", Bands: e.out, Free: tb, Source: edgeSource})
	p = p.with(EdgeToOrigin, Rate{Unit: "GB", Bands: flat(e.toOrigin), Source: edgeSource})
	return p.with(EdgeRequests, Rate{Unit: "million", Bands: flat(e.requests), Free: 10, Source: edgeSource})
}
