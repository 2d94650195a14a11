// Package cost says what Culvert costs a month on AWS: list prices with their
// sources, what a number of users needs, and the bill that follows.
package cost

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
