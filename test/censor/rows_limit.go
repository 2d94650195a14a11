//go:build linux

package main

import (
	"time"

	"culvert/test/censor/network"
)

func limitRows() []row {
	return []row{
		{"four-a-minute", "4 new connections a minute to a server, and the freeze at 15 kB", false, fourAMinute},
		{"idle-fin", "CDNs cut connections that rest for 10 s", false, func(t *trial) error { return idleCut(t, false) }},
		{"idle-silent", "connections that rest for 10 s are dropped in silence", false, func(t *trial) error { return idleCut(t, true) }},
		{"resets", "every connection is reset within one round trip of its upgrade, at all fronts", true, resets},
	}
}

func fourAMinute(t *trial) error {
	r := freezing(frozen15)
	r.Connect = []network.Connect{{PerMinute: 4}}
	return t.within(setting{rules: r}, func(w *world) error {
		c, err := sustained(t, w)
		if err != nil {
			return err
		}
		defer c.close()
		x := w.download(mediaSize, time.Hour)
		d := t.span(3*time.Minute, 40*time.Second)
		c.talk(t.ctx, d, time.Second, 30*time.Second)
		x.end()
		t.chat("chat", c, 0, 0, 4*time.Second)
		t.exact("media", x)
		bytes, _ := x.progress()
		t.atLeast("media beside it", float64(bytes)/1e3, d.Minutes()*10, " kB") // one of four connections a minute
		return nil
	})
}

// idleCut lets chat rest for a minute, several times, of which the first teaches.
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
		pause := t.span(time.Minute, 25*time.Second)
		rest(t.ctx, pause)
		c.answered(smallAnswer, 30*time.Second)
		var most time.Duration
		all := true
		learned := time.Now()
		for range 2 {
			rest(t.ctx, pause)
			took, ok := c.answered(smallAnswer, 30*time.Second)
			most, all = max(most, took), all && ok
		}
		made := since(w.path.Flows(), learned)
		t.seconds("chat after a pause", most, goal, all)
		t.atMost("connections in two pauses, once learned", float64(made), 3, "")
		return nil
	})
}

// resets has an app ask for 30 s, and an upload wait, before the way is free.
func resets(t *trial) error {
	r := far(trip)
	r.Upgrade = []network.Upgrade{{After: 2 * trip / 3}}
	return t.within(bothFronts(r), func(w *world) error {
		c, err := w.newChat()
		if err != nil {
			return err
		}
		defer c.close()
		x := w.upload(300_000, 2*time.Minute)
		d := t.span(30*time.Second, 15*time.Second)
		answered := c.ask(questionSize, smallAnswer)
		rest(t.ctx, d)
		flows := w.path.Flows()
		w.path.Change(func(r *network.Rules) { r.Upgrade = nil })
		freed := time.Now()
		for _, f := range []front{front1, front2} {
			t.atMost("tries at "+f.name, float64(len(to(flows, f))), d.Seconds()/2+1, "")
		}
		ok := true
		select {
		case <-answered:
		case <-c.done:
			ok = false
		case <-time.After(30 * time.Second):
			ok = false
		}
		t.seconds("recovers", time.Since(freed), 5*time.Second, ok)
		x.wait()
		t.exact("upload", x)
		t.seconds("upload of 300 kB ends", x.began.Add(x.took).Sub(freed), 15*time.Second, x.err == nil)
		return nil
	})
}
