package serve

import (
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// crowd has the collector run more rarely while many handshakes wait. Each leaves a hundred kB behind it, and whoever waits
// has a stack to be looked through: to collect as often as at rest would take a tenth of the time in which they are all
// served. An operator's GOGC wins.
type crowd struct {
	percent func(int) int // debug.SetGCPercent; nil: nothing is changed
	waiting atomic.Int32

	mu     sync.Mutex  // guards the following
	calm   *time.Timer // ends it; nil: there is none
	before int         // percent at rest
}

const (
	// manyWait is how many are a crowd: some tens of milliseconds of a core.
	manyWait = 100
	// crowded is by how much the heap may grow then until it is collected, in percent, unless it may grow by more at rest.
	crowded = 100
	// calmAfter is for how long no more than manyWait have waited at the end of a crowd.
	calmAfter = 2 * time.Second
)

func newCrowd() *crowd {
	if os.Getenv("GOGC") != "" {
		return &crowd{}
	}
	return &crowd{percent: debug.SetGCPercent}
}

// enter counts one more that waits, and leave one less.
func (c *crowd) enter() {
	if c.waiting.Add(1) > manyWait && c.percent != nil {
		c.begin()
	}
}

func (c *crowd) leave() { c.waiting.Add(-1) }

// begin begins a crowd, or has it last.
func (c *crowd) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calm != nil {
		c.calm.Reset(calmAfter)
		return
	}
	if c.before = c.percent(crowded); c.before > crowded {
		c.percent(c.before)
	}
	c.calm = time.AfterFunc(calmAfter, c.end)
}

func (c *crowd) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calm == nil { // it was to last just when it ended
		return
	}
	c.percent(c.before)
	c.calm = nil
}
