package main

import (
	"sync"
	"time"

	"culvert/internal/relay"
	"culvert/internal/wire"
)

// reasonLimit is how long a tunnel's end may take to tell why.
const reasonLimit = 300 * time.Millisecond

// endings are why the origin gave tunnels up.
type endings struct {
	mu      sync.Mutex // guards the following
	reasons map[wire.ServiceKind]wire.Reason
	changed chan struct{} // closed and replaced when a reason came
}

func newEndings() *endings {
	return &endings{reasons: map[wire.ServiceKind]wire.Reason{}, changed: make(chan struct{})}
}

func (e *endings) add(end relay.End) {
	if end.Reason == 0 || !end.FromPeer {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reasons[end.Service.Kind] = end.Reason
	close(e.changed)
	e.changed = make(chan struct{})
}

// reason is why a tunnel for hop was given up; 0 if the origin did not say.
func (e *endings) reason(hop string) wire.Reason {
	kind := wire.Media
	if hop == "chat" {
		kind = wire.Chat
	}
	limit := time.After(reasonLimit)
	for {
		e.mu.Lock()
		r, changed := e.reasons[kind], e.changed
		e.mu.Unlock()
		if r != 0 {
			return r
		}
		select {
		case <-changed:
		case <-limit:
			return 0
		}
	}
}
