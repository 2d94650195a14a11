package client

import (
	"maps"
	"slices"
	"sort"
	"sync"
	"time"

	"culvert/internal/carrier"
)

// Way is a front that carries at the moment.
type Way struct {
	Front   int  // its index in the link
	Gateway bool // it leads to the gateway door
	Tunnels int  // that use it, those that have just ended among them
}

// Causes that programs tell apart: a carrier that nobody needed any more, and one on
// which nothing came for too long.
const (
	EndedHere = carrier.EndedHere
	Silent    = carrier.Silent
)

// LastEnd is what is known of the carrier that ended last.
type LastEnd struct {
	Cause Cause // 0: none has ended yet
	Front int   // its index in the link
	Lived time.Duration
	At    time.Time
}

// ways lists the fronts that carry.
func (c *Client) ways() (all []Way) {
	for _, h := range c.pool.allHomes() {
		for _, l := range h.serving() {
			i := slices.IndexFunc(all, func(w Way) bool { return w.Front == l.front })
			if i < 0 {
				i, all = len(all), append(all, Way{Front: l.front, Gateway: l.gateway})
			}
			all[i].Tunnels += l.Load()
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Front < all[j].Front })
	return all
}

// serving lists the carriers of a home that live.
func (h *home) serving() []*activeCarrier {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(h.carriers), func(l *activeCarrier) bool { return l.Dead() })
}

// ends counts why carriers ended.
type ends struct {
	mu   sync.Mutex // guards the following
	of   map[Cause]int
	last LastEnd
}

func (e *ends) add(l *activeCarrier, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.of == nil {
		e.of = map[Cause]int{}
	}
	e.of[l.Cause()]++
	e.last = LastEnd{Cause: l.Cause(), Front: l.front, Lived: now.Sub(l.began), At: now}
}

func (e *ends) read() (map[Cause]int, LastEnd) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.of), e.last
}
