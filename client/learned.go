package client

import (
	"sync"
	"time"

	"culvert/client/kept"
	"culvert/internal/seal"
)

// learned keeps what was learned of each network's fronts. What is known is of the network that
// the machine is in: in another, all begins afresh.
type learned struct {
	store *kept.Store   // nil: nothing outlives the program
	name  func() string // of the network; empty: there is none

	mu     sync.Mutex // guards the following
	here   string     // the network's name; empty: it is not known yet
	saved  time.Time
	failed bool // to save; it was said
}

// saveEvery is how often what is new is saved, at most.
const saveEvery = 10 * time.Second

// openLearned reads what was kept, if anything is to be.
func (c *Client) openLearned(pair *seal.Pair) {
	c.learned.name = machine.network
	if c.cfg.Keep == "" {
		return
	}
	var err error
	if c.learned.store, err = kept.Open(c.cfg.Keep, pair.MAC); err != nil {
		c.cfg.Log.Warn(err.Error())
	}
}

// lookAround turns to what is known of the network that the machine is in. Whoever dials calls it.
func (c *Client) lookAround() {
	l := &c.learned
	l.mu.Lock()
	defer l.mu.Unlock()
	name := l.name()
	if name == "" || name == l.here {
		return
	}
	if l.here != "" {
		c.cfg.Log.Debug("the network is another")
		c.putLearned()
	}
	moved := l.here != ""
	l.here = name
	var n kept.Network
	if l.store != nil {
		n = l.store.Network(l.store.Tag("network", name))
	}
	if moved || n.Used > 0 {
		c.recall(n)
	}
}

// recall has what is known be n.
func (c *Client) recall(n kept.Network) {
	best := c.fronts.inOrder()[0]
	c.budgets.forget()
	c.visits.begin()
	for _, i := range c.fronts.inOrder() {
		f := c.fronts.at(i).Front
		tag, known := "", kept.Front{}
		if c.learned.store != nil {
			tag = c.learned.store.Tag("front", f.String())
			known = n.Fronts[tag]
		}
		c.cfg.Dialer.SetLook(f, known.Look)
		c.cfg.Dialer.SetSmall(f, known.Small)
		c.budgets.recall(i, known)
		isBest := tag != "" && tag == n.Best
		c.visits.recall(i, known, isBest)
		if isBest {
			best = i
		}
	}
	c.health.begin(best)
}

// putLearned has the store know what is known here. learned.mu is held.
func (c *Client) putLearned() {
	s := c.learned.store
	if s == nil || c.learned.here == "" {
		return
	}
	n := kept.Network{Fronts: map[string]kept.Front{}}
	for _, i := range c.fronts.inOrder() {
		f := c.fronts.at(i).Front
		known := c.budgets.known(i)
		c.visits.known(i, &known)
		known.Small, known.Look = c.cfg.Dialer.Small(f), c.cfg.Dialer.LookOf(f)
		if known != (kept.Front{}) {
			n.Fronts[s.Tag("front", f.String())] = known
		}
	}
	if best, led := c.health.good(); led {
		n.Best = s.Tag("front", c.fronts.at(best).String())
	}
	s.Put(s.Tag("network", c.learned.here), n, c.cfg.Now())
}

// isDue reports, once, that it is time to save what is new.
func (l *learned) isDue(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store == nil || now.Sub(l.saved) < saveEvery {
		return false
	}
	l.saved = now
	return true
}

// keepLearned saves what is new.
func (c *Client) keepLearned() {
	l := &c.learned
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store == nil {
		return
	}
	c.putLearned()
	err := l.store.Save()
	if err != nil && !l.failed {
		c.cfg.Log.Warn("what is learned of networks lasts as long as this program only", "error", err)
	}
	l.failed = err != nil
}
