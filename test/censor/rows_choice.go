//go:build linux

package main

import (
	"fmt"
	"time"

	"culvert/test/censor/network"
)

func choiceRows() []row {
	return []row{
		{"one-freezes", "only front 1 freezes, front 2 is free", false, oneFreezes},
		{"far", "110 ms to 600 ms, nothing blocked: front 2 is not touched", false, func(t *trial) error { return untouched(t, 110, 150, 300, 600) }},
		{"far-short", "200 ms, nothing blocked: front 2 is not touched", true, func(t *trial) error { return untouched(t, 200) }},
		{"name-dropped", "every ClientHello with front 1's name is dropped", true, nameDropped},
	}
}

func oneFreezes(t *trial) error {
	r := far(trip)
	r.Freeze = []network.Freeze{{Address: front1.address, Bytes: frozen15}}
	return t.within(bothFronts(r), func(w *world) error {
		x := w.download(300_000, time.Minute).wait()
		t.exact("first media", x)
		t.seconds("media's first 50 kB", x.flows, 4*time.Second, x.flows > 0)
		before := len(to(w.path.Flows(), front1))
		y := w.download(1_000_000, time.Minute).wait()
		t.moved("media afterwards", y, 1_000_000, 10*time.Second)
		t.atMost("connections to front 1 for it", float64(len(to(w.path.Flows(), front1))-before), 1, "")
		return nil
	})
}

// untouched uses chat and media, and wants one address and one name in sight.
func untouched(t *trial, trips ...int) error {
	for _, ms := range trips {
		r := far(time.Duration(ms) * time.Millisecond)
		err := t.within(bothFronts(r), func(w *world) error {
			c, err := sustained(t, w)
			if err != nil {
				return err
			}
			defer c.close()
			x := w.download(1_500_000, time.Minute)
			c.talk(t.ctx, 8*time.Second, time.Second, 10*time.Second)
			t.exact("media", x.wait())
			t.atMost(fmt.Sprintf("connections to front 2 at %d ms", ms), float64(len(to(w.path.Flows(), front2))), 0, "")
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func nameDropped(t *trial) error {
	for _, p := range []struct {
		trip  time.Duration
		later bool
	}{{trip, true}, {300 * time.Millisecond, false}} {
		r := far(p.trip)
		r.Hello = []network.Hello{{Name: front1.name}}
		err := t.within(bothFronts(r), func(w *world) error {
			took, ok, err := firstAnswer(w)
			t.seconds(fmt.Sprintf("first answer at %d ms", p.trip.Milliseconds()), took, 4500*time.Millisecond, ok)
			if err != nil || !p.later {
				return err
			}
			w.disconnect()
			if err := w.connect(); err != nil {
				return err
			}
			took, ok, err = firstAnswer(w)
			t.seconds("first answer at a later start", took, 800*time.Millisecond, ok)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// firstAnswer is how long an app waits that connects now.
func firstAnswer(w *world) (took time.Duration, ok bool, err error) {
	began := time.Now()
	c, err := w.newChat()
	if err != nil {
		return 0, false, err
	}
	defer c.close()
	_, ok = c.answered(smallAnswer, 30*time.Second)
	return time.Since(began), ok, nil
}
