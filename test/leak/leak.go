// Package leak finds goroutines that outlive whoever should have waited for them.
package leak

import (
	"bytes"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// Goroutines are the stacks of those that ran at one moment, by the words that name
// them: "goroutine 17".
type Goroutines map[string]string

// Running is all goroutines of the process but the caller's. Other tests run in the
// same process: whoever compares two moments is no parallel test, so that all
// parallel ones wait.
func Running() Goroutines {
	buf := make([]byte, 1<<20)
	n := runtime.Stack(buf, true)
	for n == len(buf) {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	all := Goroutines{}
	for i, dump := range bytes.Split(buf[:n], []byte("\n\n")) {
		name, _, _ := strings.Cut(string(dump), " [")
		if i > 0 { // the first is the caller's
			all[name] = string(dump)
		}
	}
	return all
}

// Since is the goroutines that run now and did not run before.
func Since(before Goroutines) Goroutines {
	now := Running()
	for name := range before {
		delete(now, name)
	}
	return now
}

// With is those with a function on their stack whose name begins so:
// "culvert/origin.".
func (g Goroutines) With(name string) Goroutines { return g.where(name, true) }

// Without is the others.
func (g Goroutines) Without(name string) Goroutines { return g.where(name, false) }

func (g Goroutines) where(name string, has bool) Goroutines {
	some := Goroutines{}
	for key, dump := range g {
		if strings.Contains(dump, "\n"+name) == has {
			some[key] = dump
		}
	}
	return some
}

// String is the stacks of all of them.
func (g Goroutines) String() string { return strings.Join(slices.Collect(maps.Values(g)), "\n\n") }

// patience is how long what has been told to end may take to be gone: a goroutine
// that has done its last deed still runs for a moment.
const patience = 5 * time.Second

// Check fails t if goroutines run that were not among those before.
func (before Goroutines) Check(t testing.TB) {
	t.Helper()
	left := Since(before)
	for end := time.Now().Add(patience); len(left) > 0 && time.Now().Before(end); left = Since(before) {
		runtime.Gosched()
	}
	if len(left) > 0 {
		t.Errorf("got %d goroutines that are left, want none:\n\n%v", len(left), left)
	}
}
