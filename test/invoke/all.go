package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"culvert/internal/session"
)

// pair is an event and a function that gets it.
type pair struct {
	recorded
	f function
}

// runAll invokes every function with every event, or each event's own and every function with one that
// is another's, where an invocation takes seconds. It fails if an answer is not the expected one.
func runAll(ctx context.Context, where runtime, events *filler) error {
	all, err := readAnswers("infra/events")
	if err != nil {
		return err
	}
	pairs := everyPair(all)
	if where.takesSeconds() {
		pairs = fewPairs(pairs)
	}
	wrong := runRows(rows(pairs), func(row []pair) []error { return runRow(ctx, where, events, row) })
	fmt.Printf("%d events, %d invocations of %d functions: %d wrong answers\n", len(all), len(pairs), len(functions), len(wrong))
	return errors.Join(wrong...)
}

// runRows runs as many rows at once as there are processors.
func runRows(rows [][]pair, run func([]pair) []error) (wrong []error) {
	work := make(chan []pair)
	var workers sync.WaitGroup
	var mu sync.Mutex // guards wrong
	for range goruntime.NumCPU() {
		workers.Go(func() {
			for row := range work {
				errs := run(row)
				mu.Lock()
				wrong = append(wrong, errs...)
				mu.Unlock()
			}
		})
	}
	for _, row := range rows {
		work <- row
	}
	close(work)
	workers.Wait()
	return wrong
}

func everyPair(all []recorded) (pairs []pair) {
	for _, r := range all {
		for _, f := range functions {
			pairs = append(pairs, pair{r, f})
		}
	}
	return pairs
}

// fewPairs has every event at the function that it is for, and at each function the first that is for another.
func fewPairs(all []pair) (few []pair) {
	others := map[function]bool{}
	for _, p := range all {
		if p.f == p.of() || !others[p.f] {
			few = append(few, p)
			others[p.f] = others[p.f] || p.f != p.of()
		}
	}
	return few
}

// rows may run at once. One has all that reaches the origin, in order; each of
// the others is a single pair.
func rows(all []pair) [][]pair {
	ordered := [][]pair{nil}
	for _, p := range all {
		if p.f == p.of() && p.f != "Connect" {
			ordered[0] = append(ordered[0], p)
		} else {
			ordered = append(ordered, []pair{p})
		}
	}
	return ordered
}

// helloEvent makes the connection that the events of follows are of.
const helloEvent = "message"

var follows = []string{"message-next", "message-again", "message-full"}

// runRow says hello once more where what follows it comes so late, as Docker is slow, that
// the origin ends the connection: it has proved nothing.
func runRow(ctx context.Context, where runtime, events *filler, row []pair) (wrong []error) {
	var hello pair
	var saying, said time.Time
	say := func() error {
		saying = time.Now()
		defer func() { said = time.Now() }()
		return runPair(ctx, where, events, hello)
	}
	for _, p := range row {
		event := strings.TrimSuffix(filepath.Base(p.path), ".json")
		name := fmt.Sprintf("%-10s %s", p.f, event)
		run := func() error { return runPair(ctx, where, events, p) }
		switch {
		case event == helloEvent && p.f == p.of():
			hello, run = p, say
		case slices.Contains(follows, event) && time.Since(saying) > session.ProveWithin/2 && !said.IsZero():
			time.Sleep(time.Until(said.Add(session.ProveWithin + 2*time.Second)))
			run = func() error { return errors.Join(say(), runPair(ctx, where, events, p)) }
		}
		if err := run(); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", name, err))
			fmt.Println("WRONG", name)
			continue
		}
		fmt.Println("ok   ", name)
	}
	return wrong
}

func runPair(ctx context.Context, where runtime, events *filler, p pair) error {
	event, err := events.fill(p.path)
	if err != nil {
		return err
	}
	reply, log, err := where.invoke(ctx, p.f, event)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, log)
	}
	want := p.from(p.f)
	err = errors.Join(check(want, reply), leaks(event, log))
	if where.keepsLogs() {
		err = errors.Join(err, checkLog(want, log))
	}
	return err
}
