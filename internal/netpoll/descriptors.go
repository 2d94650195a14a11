package netpoll

import "math"

// Descriptors says how it stands with a process's limit of open files. Whoever makes connections for others asks
// before, so that what is going on never fails for want of one: the last are kept for the admin listener, for
// files that are read again, for resolving names, and for what is accepted only to be closed.
type Descriptors struct {
	Max     int // as many may be open; 0: the system does not say
	Reserve int // as many are kept
}

// The reserve is a part of all, within bounds: a router allows 256 or 1,024, a server a million.
const (
	reservePart  = 64
	leastReserve = 64
	mostReserve  = 1024
)

// Limit is what the process may have open now.
func Limit() Descriptors {
	most := maxDescriptors()
	if most <= 0 {
		return Descriptors{}
	}
	return Descriptors{Max: most, Reserve: min(max(most/reservePart, leastReserve), mostReserve, most/2)}
}

// Share is n, or less: part of parts of what there is without the reserve.
func (d Descriptors) Share(n, part, parts int) int {
	if d.Max == 0 {
		return n
	}
	return int(min(int64(n), max(1, int64(d.Max-d.Reserve)*int64(part)/int64(parts))))
}

// Left is how many more the process may open, at most.
func Left() int { return Limit().left() }

// left is Left: the system gives the lowest number that is free, so that all below it are in use.
func (d Descriptors) left() int {
	if d.Max == 0 {
		return math.MaxInt
	}
	return d.Max - lowestFree(d.Max)
}

// Scarce reports whether no more are left than the reserve. It costs less than a microsecond.
func Scarce() bool {
	d := Limit()
	return d.left() <= d.Reserve
}

// Spent reports whether a quarter of the reserve is left: only what keeps the process alive may have that.
func Spent() bool {
	d := Limit()
	return d.left() <= d.Reserve/4
}
