package session

import (
	"sync"
	"testing"
	"time"
)

// Both ends of two carriers read and write at once while the session is agreed on again
// and again, and swept.
func TestReadersAndWritersRunAtOnce(t *testing.T) {
	w := newWorld(t)
	s := w.client(1)
	var links []*link
	for range 2 {
		l := w.dial(s, 1, Stream, w.process)
		l.talk(t)
		links = append(links, l)
	}
	var all sync.WaitGroup
	for i, l := range links {
		up, down, again, answers := make(chan []byte, 100), make(chan []byte, 100), make(chan []byte, 100), make(chan []byte, 100)
		write := func(e *wireEnd, to chan []byte, clock func(i int) time.Time) {
			defer close(to)
			for k := range 200 {
				m, err := e.say("text", clock(k))
				if err != nil {
					t.Error(err)
					return
				}
				to <- m
			}
		}
		clock := func(k int) time.Time { return w.now.Add(time.Duration(k) * 4 * time.Second) }
		all.Go(func() {
			for k := range 3 { // the writer agrees again, when it is the first carrier's
				if body, ok := l.c.Again(clock(k * 70)); ok && i == 0 {
					again <- body
				}
			}
			close(again)
			write(l.near, up, clock)
		})
		all.Go(func() { write(l.far, down, clock) })
		all.Go(func() {
			for body := range again {
				if answer, err := l.o.Again(body, w.now); err == nil {
					answers <- answer
				}
			}
			close(answers)
			for m := range up {
				if err := l.far.hear(m, w.now); err != nil {
					t.Error("up", err)
				}
			}
		})
		all.Go(func() {
			for a := range answers {
				l.c.Answer(a, w.now)
			}
			for m := range down {
				if err := l.near.hear(m, w.now); err != nil {
					t.Error("down", err)
				}
			}
		})
	}
	all.Go(func() {
		for range 20 {
			w.process.Sweep(w.now)
			s.Expire(w.now)
		}
	})
	all.Wait()
}

// A client's writer may say what comes first while its reader hears the challenge.
func TestACarrierBeginsWhileItIsReadAndWritten(t *testing.T) {
	w := newWorld(t)
	s := w.client(1)
	w.dial(s, 1, Stream, w.process).talk(t)
	for range 50 {
		l := w.dial(s, 1, Stream, w.process)
		challenge, err := l.far.say("", w.now)
		if err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		var first []byte
		both.Go(func() {
			if first, err = l.near.say("first", w.now); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() {
			if err := l.near.hear(challenge, w.now); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		if err := l.far.hear(first, w.now); err != nil {
			t.Fatal(err)
		}
		if err := l.down("back"); err != nil || l.near.State() != Live {
			t.Fatalf("got %v; the client is %v", err, l.near.State())
		}
	}
}
