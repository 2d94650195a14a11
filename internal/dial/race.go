// Package dial connects to whichever of several addresses answers first, in the
// manner of Happy Eyeballs (RFC 8305).
package dial

import (
	"context"
	"errors"
	"time"
)

// Race tries the choices 0 to n-1 in the manner of Happy Eyeballs (RFC 8305,
// section 5), first first, and returns what the first to succeed returned, and
// its number. Then the others are cancelled, waited for, and what they still
// made is dropped; so try has to return soon after its context ends. That
// context ends for the winner too: what try returns must outlive it.
//
// The error joins those of all that were tried; the number is -1 then.
func Race[T any](ctx context.Context, n, first int, stagger time.Duration,
	try func(context.Context, int) (T, error), drop func(T)) (T, int, error) {
	r := &runners[T]{order: order(n, first), try: try, results: make(chan result[T], n)}
	ctx, cancel := context.WithCancel(ctx)
	defer r.finish(cancel, drop)
	timer := time.NewTimer(stagger)
	defer timer.Stop()
	var errs []error
	for r.start(ctx); r.running > 0; {
		select {
		case <-timer.C:
		case done := <-r.results:
			r.running--
			if done.err == nil {
				return done.value, done.choice, nil
			}
			errs = append(errs, done.err)
		}
		r.start(ctx)
		timer.Reset(stagger)
	}
	var none T
	return none, -1, errors.Join(append(errs, ctx.Err())...)
}

// order is first, then the others from 0 on.
func order(n, first int) []int {
	list := make([]int, 0, n)
	if first >= 0 && first < n {
		list = append(list, first)
	}
	for i := range n {
		if i != first {
			list = append(list, i)
		}
	}
	return list
}

// runners are the attempts of one race.
type runners[T any] struct {
	order   []int // not yet started
	running int
	try     func(context.Context, int) (T, error)
	results chan result[T]
}

type result[T any] struct {
	value  T
	choice int
	err    error
}

// start starts the next attempt if there is one and ctx has not ended.
func (r *runners[T]) start(ctx context.Context) {
	if len(r.order) == 0 || ctx.Err() != nil {
		return
	}
	choice := r.order[0]
	r.order = r.order[1:]
	r.running++
	go func() {
		v, err := r.try(ctx, choice)
		r.results <- result[T]{v, choice, err}
	}()
}

// finish waits for the losers and drops what they made.
func (r *runners[T]) finish(cancel context.CancelFunc, drop func(T)) {
	cancel()
	for ; r.running > 0; r.running-- {
		if late := <-r.results; late.err == nil {
			drop(late.value)
		}
	}
}
