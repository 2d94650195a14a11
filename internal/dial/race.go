// Package dial connects to whichever of several places answers first, as Happy
// Eyeballs (RFC 8305) does: it tries one after another with a short head start
// each, and closes what comes after the first success.
//
// Race is for choices that are known from the start, as the fronts of a link are.
// Hosts is for names that are looked up while the race is on. Backoff is the pause
// before trying again.
package dial

import (
	"context"
	"errors"
	"time"
)

// Stagger is the head start of an address before the next is tried as well:
// RFC 8305, section 8.
const Stagger = 250 * time.Millisecond

// Race tries choices in their order, each after the one before has failed or had
// stagger to succeed. It returns what the first to succeed returned, and which
// choice that was. Race has cancelled and waited for the others by then and has
// given to drop what they made; so try has to return soon after its context ends.
// That context ends for the winner too: what try returns must outlive it.
//
// The error joins those of all that were tried, or is ErrNothing.
func Race[C, T any](ctx context.Context, choices []C, stagger time.Duration,
	try func(context.Context, C) (T, error), drop func(T)) (T, C, error) {
	left := list[C](choices)
	won, err := race(ctx, &left, stagger, try, drop)
	return won.value, won.choice, err
}

// list are choices that are known from the start, the next one first.
type list[C any] []C

func (l *list[C]) poll(context.Context, bool) state {
	return state{ready: len(*l) > 0, over: len(*l) == 0, wait: forever}
}

func (l *list[C]) news() <-chan func() { return nil }

func (l *list[C]) pop() C {
	first := (*l)[0]
	*l = (*l)[1:]
	return first
}

// source gives a race its choices. The goroutine of the race alone calls it.
type source[C any] interface {
	// poll does what is due and says how things are; ctx is that of the race, and
	// idle means that no attempt is under way.
	poll(ctx context.Context, idle bool) state

	// pop takes out the best choice. It is called only if poll said ready.
	pop() C

	// news gives what the race is to call before it polls again. nil: nothing
	// ever.
	news() <-chan func()
}

// state is what a source can do for its race.
type state struct {
	ready bool          // it has a choice that may be tried now
	over  bool          // it has none, and none will come
	wait  time.Duration // until it has to be polled again, unless something happens before
}

const forever = 1 << 62

// ErrNothing means that there was nothing to try.
var ErrNothing = errors.New("nothing to try")

// Causes lists the errors that err joins, in their order.
func Causes(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, Causes(e)...)
	}
	return all
}

// attempts are those of one race. All fields belong to its goroutine.
type attempts[C, T any] struct {
	source  source[C]
	stagger time.Duration
	try     func(context.Context, C) (T, error)
	next    time.Time // no attempt starts before
	running int
	results chan result[C, T]
	errs    []error
}

type result[C, T any] struct {
	choice C
	value  T
	err    error
}

func race[C, T any](ctx context.Context, s source[C], stagger time.Duration,
	try func(context.Context, C) (T, error), drop func(T)) (result[C, T], error) {
	a := &attempts[C, T]{source: s, stagger: stagger, try: try, results: make(chan result[C, T])}
	ctx, cancel := context.WithCancel(ctx)
	defer a.finish(drop)
	defer cancel()
	return a.run(ctx)
}

// run returns the first success, or why there is none.
func (a *attempts[C, T]) run(ctx context.Context) (result[C, T], error) {
	timer := time.NewTimer(forever)
	defer timer.Stop()
	for {
		now := a.start(ctx)
		if now.over && a.running == 0 {
			return a.failure(ctx)
		}
		timer.Reset(now.wait)
		select {
		case <-timer.C:
		case learn := <-a.source.news():
			learn()
		case r := <-a.results:
			if a.running--; r.err == nil {
				return r, nil
			}
			a.errs = append(a.errs, r.err)
			a.next = time.Time{} // the next need not wait for its turn
		case <-ctx.Done():
			return a.failure(ctx)
		}
	}
}

// start starts what may be tried now, and says when to look again.
func (a *attempts[C, T]) start(ctx context.Context) state {
	for {
		now := a.source.poll(ctx, a.running == 0)
		turn := time.Until(a.next)
		switch {
		case ctx.Err() != nil || !now.ready:
			return now
		case turn > 0:
			now.wait = min(now.wait, turn)
			return now
		}
		a.next = time.Now().Add(a.stagger)
		a.running++
		choice := a.source.pop()
		go func() {
			v, err := a.try(ctx, choice)
			a.results <- result[C, T]{choice, v, err}
		}()
	}
}

// failure waits for what still runs. One that succeeds after all has won.
func (a *attempts[C, T]) failure(ctx context.Context) (r result[C, T], err error) {
	for a.running > 0 {
		r = <-a.results
		if a.running--; r.err == nil {
			return r, nil
		}
		a.errs = append(a.errs, r.err)
	}
	if err = errors.Join(append(a.errs, ctx.Err())...); err == nil {
		err = ErrNothing
	}
	return result[C, T]{}, err
}

// finish waits for the losers, whose context has ended, and drops what they made.
func (a *attempts[C, T]) finish(drop func(T)) {
	for ; a.running > 0; a.running-- {
		if late := <-a.results; late.err == nil {
			drop(late.value)
		}
	}
}
