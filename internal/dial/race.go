// Package dial connects to whichever of several places answers first, as Happy
// Eyeballs (RFC 8305) does: it tries one after another with a short head start
// each, and closes what comes after the first success.
//
// Race is for choices that are known from the start, as the fronts of a link are.
// Hosts is for names that are looked up while the race is on; Use is for those of
// them at which connecting is only the beginning. Backoff is the pause before trying
// again.
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
// its head start to succeed. It returns what the first to succeed returned, and which
// choice that was. Race has cancelled and waited for the others by then and has
// given to drop what they made; so try has to return soon after its context ends.
// That context ends for the winner too: what try returns must outlive it.
//
// The error joins those of all that were tried, or is ErrNothing.
func Race[C, T any](ctx context.Context, choices []C, headStart func(C) time.Duration,
	try func(context.Context, C) (T, error), drop func(T)) (T, C, error) {
	left := list[C](choices)
	won, err := race(ctx, &left, headStart, func(ctx context.Context, c C, _ extend) (T, error) { return try(ctx, c) },
		func(late result[C, T]) {
			if late.err == nil {
				drop(late.value)
			}
		})
	return won.value, won.choice, err
}

// list are choices that are known from the start, the next one first.
type list[C any] []C

func (l *list[C]) poll(bool) state {
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
	// poll does what is due and says how things are; idle means that no attempt is
	// under way.
	poll(idle bool) state

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

// extend is what an attempt calls that has got somewhere: its head start, if it is the
// newest of its race, ends so long from now, and not when it would have.
type extend func(time.Duration)

// attempts are those of one race. All fields belong to its goroutine.
type attempts[C, T any] struct {
	source    source[C]
	headStart func(C) time.Duration
	try       func(context.Context, C, extend) (T, error)
	next      time.Time // no attempt starts before
	started   int
	running   int
	extended  chan extension
	results   chan result[C, T]
	errs      []error
}

// extension is another head start of an attempt.
type extension struct {
	attempt int
	by      time.Duration
}

type result[C, T any] struct {
	choice C
	value  T
	err    error
}

// race is the common part of all races. It gives drop the results of those that it
// ended, whether they had succeeded by then or not.
func race[C, T any](ctx context.Context, s source[C], headStart func(C) time.Duration,
	try func(context.Context, C, extend) (T, error), drop func(result[C, T])) (result[C, T], error) {
	a := &attempts[C, T]{source: s, headStart: headStart, try: try, extended: make(chan extension), results: make(chan result[C, T])}
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
		case more := <-a.extended:
			if more.attempt == a.started {
				a.next = time.Now().Add(more.by)
			}
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
		now := a.source.poll(a.running == 0)
		turn := time.Until(a.next)
		switch {
		case ctx.Err() != nil || !now.ready:
			return now
		case turn > 0:
			now.wait = min(now.wait, turn)
			return now
		}
		a.begin(ctx, a.source.pop())
	}
}

// begin starts the attempt at choice.
func (a *attempts[C, T]) begin(ctx context.Context, choice C) {
	a.next = time.Now().Add(a.headStart(choice))
	a.running++
	a.started++
	number := a.started
	more := func(by time.Duration) {
		select {
		case a.extended <- extension{number, by}:
		case <-ctx.Done():
		}
	}
	go func() {
		v, err := a.try(ctx, choice, more)
		a.results <- result[C, T]{choice, v, err}
	}()
}

// failure waits for what still runs, whose context has ended. One that succeeds after
// all has won.
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

// finish waits for the losers, whose context has ended, and drops them.
func (a *attempts[C, T]) finish(drop func(result[C, T])) {
	for ; a.running > 0; a.running-- {
		drop(<-a.results)
	}
}
