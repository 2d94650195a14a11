// Package probing asks the programs as a stranger does who has guessed, stolen or made a token, and compares
// what comes back, in bytes and in time, with the answer to the same request without one. Its test runs the
// programs over loopback; this file holds the statistics.
package probing

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Slower is the probability that one of a is larger than one of b, where equal ones count half: Mann-Whitney's
// U over the number of pairs. It is 0.5 where nobody can tell them apart, and it is of a's order n log n.
func Slower(a, b []time.Duration) float64 {
	type try struct {
		took time.Duration
		ofA  bool
	}
	all := make([]try, 0, len(a)+len(b))
	for _, took := range a {
		all = append(all, try{took, true})
	}
	for _, took := range b {
		all = append(all, try{took, false})
	}
	slices.SortFunc(all, func(x, y try) int { return cmp.Compare(x.took, y.took) })
	var u float64
	below := 0 // of b, seen so far
	for i := 0; i < len(all); {
		end, ofB := i, 0
		for ; end < len(all) && all[end].took == all[i].took; end++ {
			if !all[end].ofA {
				ofB++
			}
		}
		u += float64(end-i-ofB) * (float64(below) + float64(ofB)/2)
		below, i = below+ofB, end
	}
	return u / (float64(len(a)) * float64(len(b)))
}

// Deviation is the standard deviation of Slower for n tries each of things that are the same.
func Deviation(n int) float64 { return math.Sqrt(float64(2*n+1) / (12 * float64(n) * float64(n))) }
