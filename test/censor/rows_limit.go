//go:build linux

package main

import (
	"time"

	"culvert/test/censor/network"
)

func limitRows() []row {
	return []row{
		{"four-a-minute", "4 new connections a minute to a server, and the freeze at 15 kB", false, func(t *trial) error { return fourAMinute(t, 2*time.Second, front1) }},
		{"four-a-minute-two", "the same, with two fronts and twice as much chat", false, func(t *trial) error { return fourAMinute(t, time.Second, front1, front2) }},
		{"idle-fin", "CDNs cut connections that rest for 10 s", false, func(t *trial) error { return idleCut(t, false) }},
		{"idle-silent", "connections that rest for 10 s are dropped in silence", false, func(t *trial) error { return idleCut(t, true) }},
		{"resets", "every connection is reset within one round trip of its upgrade, at all fronts", true, resets},
	}
}

// fourAMinute lets chat and media learn for as long as a minute's connections last, and a bit, and looks at
// what follows. Four connections of some 11 kB, without TLS's, bring 44 kB a minute: chat with a question a
// second takes 41 kB of answers and 6 kB around them, so that with one front it asks every other second.
func fourAMinute(t *trial, pause time.Duration, fronts ...front) error {
	r := freezing(frozen15)
	r.Connect = []network.Connect{{PerMinute: 4}}
	return t.within(setting{rules: r, fronts: fronts}, func(w *world) error {
		c, err := sustained(t, w)
		if err != nil {
			return err
		}
		defer c.close()
		x := w.download(mediaSize, time.Hour)
		c.talk(t.ctx, 75*time.Second, pause, 30*time.Second)
		c.forget()
		before, _ := x.progress()
		d := t.span(3*time.Minute, 40*time.Second)
		c.talk(t.ctx, d, pause, 30*time.Second)
		bytes, _ := x.progress()
		x.end()
		t.chat("chat", c, 0, 0, 4*time.Second)
		t.exact("media", x)
		t.atLeast("media beside it", float64(bytes-before)/1e3, d.Minutes()*10, " kB") // one of four connections a minute
		return nil
	})
}

// idleCut lets chat rest for as long as two cuts take, which teach, and then for a
// while, a minute, and more.
func idleCut(t *trial, silent bool) error {
	set := setting{rules: far(trip), idle: 10 * time.Second}
	goal := time.Second
	if silent {
		set.rules.Forget, set.idle, goal = 10*time.Second, time.Hour, 2*time.Second
	}
	return t.within(set, func(w *world) error {
		c, err := sustained(t, w)
		if err != nil {
			return err
		}
		defer c.close()
		rest(t.ctx, t.span(130*time.Second, 100*time.Second))
		c.answered(smallAnswer, 30*time.Second)
		var most time.Duration
		all := true
		learned := time.Now()
		for _, pause := range []time.Duration{20 * time.Second, time.Minute, 100 * time.Second} {
			rest(t.ctx, pause)
			took, ok := c.answered(smallAnswer, 30*time.Second)
			most, all = max(most, took), all && ok
		}
		t.seconds("chat after pauses of 20, 60 and 100 s", most, goal, all)
		t.atMost("connections made in them", float64(len(after(w.path.Flows(), learned))), 3, "")
		return nil
	})
}

// resets begins amid chat and an upload, and lasts for 30 s.
func resets(t *trial) error {
	return t.within(bothFronts(mediaRate(8_000_000)), func(w *world) error {
		c, err := sustained(t, w)
		if err != nil {
			return err
		}
		defer c.close()
		x := w.upload(4_000_000, 2*time.Minute)
		rest(t.ctx, 2*time.Second)
		begun := time.Now()
		w.path.Change(func(r *network.Rules) { r.Upgrade = []network.Upgrade{{After: 2 * trip / 3}} })
		rest(t.ctx, time.Second)
		answered := c.ask(questionSize, smallAnswer)
		d := t.span(30*time.Second, 15*time.Second)
		rest(t.ctx, d-time.Second)
		flows := w.path.Flows()
		w.path.Change(func(r *network.Rules) { r.Upgrade = nil })
		freed := time.Now()
		for _, f := range []front{front1, front2} {
			tries := after(to(flows, f), begun)
			t.atMost("tries at "+f.name, float64(len(tries)), d.Seconds()/2, "")
			t.atMost("tries there within 10 s", float64(busiest(tries, 10*time.Second)), 6, "")
		}
		took, ok := awaited(c, answered, 30*time.Second)
		t.seconds("chat recovers", took, 5*time.Second, ok)
		t.ended("an upload of 4 MB", x.wait(), freed, 15*time.Second)
		return nil
	})
}

// awaited is how long the answer is still waited for.
func awaited(c *chat, answer <-chan time.Duration, limit time.Duration) (time.Duration, bool) {
	began := time.Now()
	select {
	case <-answer:
		return time.Since(began), true
	case <-c.done:
	case <-time.After(limit):
	}
	return time.Since(began), false
}
