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
}

// NewGroup makes an empty group.
func NewGroup() *Group {
	g := &Group{empty: make(chan struct{})}
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
type Timer struct {
	timer *time.Timer
	group *Group
}

// AfterFunc has f called, in a goroutine of its own, after d. Wait waits until f
// has returned or the Timer was stopped.
func (g *Group) AfterFunc(d time.Duration, f func()) Timer {
	if !g.Add() {
		return Timer{}
	}
	return Timer{group: g, timer: time.AfterFunc(d, func() {
		defer g.Done()
		f()
	})}
}

// IsZero reports whether t is the zero Timer.
func (t Timer) IsZero() bool { return t.timer == nil }

// Stop has the function not called if that has not begun.
func (t Timer) Stop() {
	if t.timer != nil && t.timer.Stop() {
		t.group.Done()
	}
}

// Reset has the function called after d, instead of when it was to be called, or
// once more.
func (t Timer) Reset(d time.Duration) {
	if t.timer != nil && (t.timer.Stop() || t.group.Add()) {
		t.timer.Reset(d)
	}
}
