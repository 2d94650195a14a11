// Package tasks keeps the goroutines and timers of an owner together, so that
// its Close can wait for them.
package tasks

import (
	"sync"
	"sync/atomic"
	"time"
)

// Group is the goroutines and timers that one owner has started. Unlike a
// sync.WaitGroup it may be given more by any goroutine while another waits. Use
// NewGroup.
type Group struct {
	left  atomic.Int64 // those that run or are pending, and one more until Wait
	empty chan struct{}
	once  sync.Once // for Wait to take that one off

	warm     chan func() // what Brief is given, for whoever waits
	waiting  atomic.Int32
	mostWarm atomic.Int32 // how many may wait
}

// NewGroup makes an empty group.
func NewGroup() *Group {
	g := &Group{empty: make(chan struct{}), warm: make(chan func())}
	g.left.Store(1)
	return g
}

// Go runs f in a goroutine. It returns false, and does nothing, once Wait was
// called and all that ran have ended.
func (g *Group) Go(f func()) bool {
	if !g.Add() {
		return false
	}
	go func() {
		defer g.Done()
		f()
	}()
	return true
}

// stayWarm is how long a goroutine waits for something brief to run.
const stayWarm = time.Second

// KeepWarm has up to n goroutines that have run something brief wait a moment for more of it. Its caller calls
// Wait in the end.
func (g *Group) KeepWarm(n int) { g.mostWarm.Store(int32(n)) }

// Brief is Go for what ends soon and is run often. A new goroutine has a small stack, and to grow that takes longer than
// much of what is run; one that is kept warm has grown its stack already.
func (g *Group) Brief(f func()) bool {
	if !g.Add() {
		return false
	}
	select {
	case g.warm <- f:
	default:
		go g.runBrief(f)
	}
	return true
}

func (g *Group) runBrief(f func()) {
	timer := time.NewTimer(stayWarm)
	defer timer.Stop()
	for f != nil {
		f()
		g.Done()
		f = g.next(timer)
	}
}

// next waits for something to run; nil: nothing came in time, or enough wait already.
func (g *Group) next(timer *time.Timer) (f func()) {
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.mostWarm.Load() {
		return nil
	}
	timer.Reset(stayWarm)
	select {
	case f = <-g.warm:
	case <-timer.C:
	case <-g.empty:
	}
	return f
}

// Add counts a goroutine that the caller starts and that calls Done at its end:
// it is Go without the closure, for those that are started often. It returns
// false where Go does.
func (g *Group) Add() bool {
	for {
		n := g.left.Load()
		if n == 0 {
			return false
		}
		if g.left.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Done takes off a goroutine that Add has counted.
func (g *Group) Done() {
	if g.left.Add(-1) == 0 {
		close(g.empty)
	}
}

// Wait returns when nothing runs and no timer is pending any more. The owner has
// told all of them to end before. Wait may be called more than once, but not by
// what it waits for.
func (g *Group) Wait() {
	g.once.Do(g.Done)
	<-g.empty
}

// Timer calls a function of a Group's later. The zero Timer calls none. Its
// methods are for one goroutine at a time.
type Timer struct{ *timer }

// timer is behind a pointer: there are many that call none.
type timer struct {
	*time.Timer
	group *Group
	f     func()
}

func (t *timer) run() {
	defer t.group.Done()
	t.f()
}

// AfterFunc has f called, in a goroutine of its own, after d. Wait waits until f
// has returned or the Timer was stopped.
func (g *Group) AfterFunc(d time.Duration, f func()) Timer {
	if !g.Add() {
		return Timer{}
	}
	t := &timer{group: g, f: f}
	t.Timer = time.AfterFunc(d, t.run)
	return Timer{t}
}

// IsZero reports whether t is the zero Timer.
func (t Timer) IsZero() bool { return t.timer == nil }

// Stop has the function not called if that has not begun.
func (t Timer) Stop() {
	if t.timer != nil && t.Timer.Stop() {
		t.group.Done()
	}
}

// Reset has the function called after d, instead of when it was to be called, or
// once more.
func (t Timer) Reset(d time.Duration) {
	if t.timer != nil && (t.Timer.Stop() || t.group.Add()) {
		t.Timer.Reset(d)
	}
}
