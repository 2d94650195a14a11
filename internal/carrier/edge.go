package carrier

import (
	"time"

	"culvert/internal/tasks"
)

// Where a client asks the edge, which costs nothing, no answer of the peer's is owed: a function may take
// seconds. What waits for one has the edge asked once nothing has come for edgeAfter, and the carrier is
// doubted when the edge is silent, too.
const edgeAfter = 300 * time.Millisecond

// edgeStep is how often it is looked whether the edge has answered.
const edgeStep = 100 * time.Millisecond

// asksEdge reports whether the edge is asked for what the peer would owe else.
func (c *Carrier) asksEdge() bool { return c.set.asks && c.profile.AsksEdge }

// noteRest notes for how long nothing had moved when the edge is to be asked next, or something goes.
// c.mu is held.
func (c *Carrier) noteRest(now time.Time) {
	if d := &c.doubt; c.asksEdge() && d.timer.IsZero() && !c.doubted.Load() {
		d.rest = c.rested(now)
	}
}

// awaitEdge has the edge asked if nothing comes soon after a message that needs an answer.
func (c *Carrier) awaitEdge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := &c.doubt
	if !c.asksEdge() || c.dead.Load() || c.doubted.Load() || !d.timer.IsZero() {
		return
	}
	d.owed = time.Now()
	d.timer = c.set.tasks.AfterFunc(edgeAfter, c.askEdge)
}

// askEdge asks the edge unless something has come, and doubts the carrier when nothing does for long. The
// edge owes an answer, too, if something came once it was asked.
func (c *Carrier) askEdge() {
	c.mu.Lock()
	d, now := &c.doubt, time.Now()
	d.timer = tasks.Timer{}
	heard := time.Unix(0, c.alive.lastRx.Load())
	hasCome := d.owed.IsZero() || heard.After(d.owed)
	if hasCome {
		d.longRest, d.rest = max(d.longRest, d.rest), 0
	}
	if c.dead.Load() || c.doubted.Load() || hasCome && !c.alive.probing.Load() {
		d.owed = time.Time{}
		c.mu.Unlock()
		return
	}
	if hasCome {
		d.owed = heard
	}
	silent := now.Sub(d.owed)
	patience := d.patience(doubtLeast, now)
	if w := c.path.window; w != nil {
		patience += w.Wait()
	}
	isLong := silent >= patience
	if isLong {
		c.doubted.Store(true)
	} else {
		d.timer = c.set.tasks.AfterFunc(min(edgeStep, patience-silent), c.askEdge)
	}
	c.mu.Unlock()
	if isLong {
		c.tellDoubted()
	} else if c.alive.probing.CompareAndSwap(false, true) {
		c.set.tasks.Go(c.probe)
	}
}

// edgeAnswered takes how long the edge took to answer.
func (c *Carrier) edgeAnswered(took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doubt.learn(time.Now(), took)
}

// countPong counts an answer of the edge's, which takes a part of the budget, too.
func (c *Carrier) countPong() {
	c.mu.Lock()
	tell := c.path.bringPong()
	c.mu.Unlock()
	if tell {
		c.Handler().Spending(c)
	}
}

// trust takes back a doubt, as something has come that the peer has sealed.
func (c *Carrier) trust() {
	if !c.doubted.Load() || !c.doubted.Swap(false) {
		return
	}
	c.mu.Lock()
	d := &c.doubt
	if d.wrong(time.Now()); c.asksEdge() {
		d.longRest, d.rest, d.owed = max(d.longRest, d.rest), 0, time.Time{}
	}
	c.mu.Unlock()
	c.doubtLane()
}
