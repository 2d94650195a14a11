// Package leak finds goroutines that outlive whoever should have waited for them.
package leak

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Goroutines are those that ran at one moment, by the lines that name them in a
// dump: "goroutine 17".
type Goroutines map[string]string

// Running is all goroutines of the process but the caller's. Other tests run in the
// same process: whoever compares two moments is no parallel test, so that all
// parallel ones wait.
func Running() Goroutines {
	buf := make([]byte, 1<<20)
	for n := len(buf); n == len(buf); {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
	}
	all := Goroutines{}
	for i, dump := range bytes.Split(buf, []byte("\n\n")) {
		name, _, _ := strings.Cut(string(dump), " [")
		if i > 0 { // the first is the caller's
			all[name] = string(dump)
		}
	}
	return all
}

// In are the goroutines with a function of the package of that path on their stack.
func (g Goroutines) In(path string) (dumps []string) {
	for _, dump := range g {
		if strings.Contains(dump, "\n"+path+".") {
			dumps = append(dumps, dump)
		}
	}
	return dumps
}

// patience is how long what has been told to end may take to be gone: a goroutine
// that has done its last deed still runs for a moment.
const patience = 5 * time.Second

// Check fails t if goroutines run that were not among those before.
func (before Goroutines) Check(t testing.TB) {
	t.Helper()
	var left []string
	for end := time.Now().Add(patience); time.Now().Before(end); runtime.Gosched() {
		left = left[:0]
		for name, dump := range Running() {
			if before[name] == "" {
				left = append(left, dump)
			}
		}
		if len(left) == 0 {
			return
		}
	}
	t.Errorf("got %d goroutines that are left, want none:\n\n%s", len(left), strings.Join(left, "\n\n"))
}
