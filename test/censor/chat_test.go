//go:build linux

package main

import (
	"slices"
	"testing"
	"time"
)

// One slow answer of 20 is none of the 19 of which p95 tells.
func TestAQuantileIsWhatSoManyWereNotAbove(t *testing.T) {
	t.Parallel()
	d := delays{all: append(slices.Repeat([]time.Duration{time.Second}, 19), time.Minute)}
	for q, want := range map[float64]time.Duration{0: time.Second, 0.5: time.Second, 0.95: time.Second, 0.96: time.Minute, 1: time.Minute} {
		if got := d.quantile(q); got != want {
			t.Errorf("%v: got %v, want %v", q, got, want)
		}
	}
	if got := (delays{}).quantile(0.95); got != 0 {
		t.Errorf("got %v of no answer", got)
	}
}

// What arrives is counted across connections, and the longest pause is that between two bytes.
func TestArrivalsKnowTheLongestPause(t *testing.T) {
	t.Parallel()
	var a arrivals
	at := time.Now()
	for _, pause := range []time.Duration{time.Hour, time.Second, 3 * time.Second, 2 * time.Second} {
		at = at.Add(pause)
		a.came(10, at)
	}
	if bytes, gap := a.read(); bytes != 40 || gap != 3*time.Second {
		t.Errorf("got %d bytes and a pause of %v, want 40 and 3 s", bytes, gap)
	}
}
