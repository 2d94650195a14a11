// Package later stands in for package time where a test builds a program for which a day passes at once, while it
// runs: each file of ours then has this package by that name. It has what servers use of the real one.
package later

import (
	"os"
	"time"
)

// File is the setting that names a file. From the moment that there is one it is Day later, for all that asks
// what time it is here; timers take as long as ever.
const File = "CULVERT_TEST_LATER"

// Day is a little less than the 24 hours by which an edge can move a client's clock, so that tokens of a client that
// believed one are good then.
const Day = 24*time.Hour - 2*time.Minute

var file = os.Getenv(File)

// Now is later than it is.
func Now() Time {
	now := time.Now()
	if _, err := os.Stat(file); err == nil {
		now = now.Add(Day)
	}
	return now
}

// Since is by Now.
func Since(t Time) Duration { return Now().Sub(t) }

// Until is by Now.
func Until(t Time) Duration { return t.Sub(Now()) }

// These are time's.
type (
	Duration = time.Duration
	Time     = time.Time
	Timer    = time.Timer
)

// These are time's.
const (
	Microsecond = time.Microsecond
	Millisecond = time.Millisecond
	Second      = time.Second
	Minute      = time.Minute
	Hour        = time.Hour
	October     = time.October
	DateOnly    = time.DateOnly
	DateTime    = time.DateTime
	RFC3339     = time.RFC3339
)

// These are time's.
var (
	After     = time.After
	AfterFunc = time.AfterFunc
	Date      = time.Date
	NewTicker = time.NewTicker
	NewTimer  = time.NewTimer
	Parse     = time.Parse
	Sleep     = time.Sleep
	Unix      = time.Unix
	UTC       = time.UTC
)
