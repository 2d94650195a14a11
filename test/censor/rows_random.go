//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"culvert/test/censor/network"
)

// randomCensors are how many are drawn, beside one another.
const randomCensors = 4

// randomRows are censors drawn at random, each of which leaves a way. The name of each tells the
// seed that draws it again.
func randomRows(seed uint64) (all []row) {
	for i := range uint64(randomCensors) {
		d := draw(seed + i)
		all = append(all, row{fmt.Sprintf("random-%d", seed+i), d.String(), i < 2, func(t *trial) error { return random(t, d) }})
	}
	return all
}

// drawn is a censor that changes its mind, and lets all through in the end.
type drawn struct {
	gateway bool
	trip    time.Duration
	phases  []phase
}

// phase is what it does for a while.
type phase struct {
	lasts time.Duration
	rules network.Rules
}

// draw is always the same for a seed.
func draw(seed uint64) drawn {
	r := rand.New(rand.NewPCG(seed, seed))
	d := drawn{gateway: r.IntN(4) == 0, trip: between(r, 20, 400) * time.Millisecond}
	for range 3 {
		d.phases = append(d.phases, phase{between(r, 5, 20) * time.Second, drawRules(r, d.trip)})
	}
	return d
}

// drawRules is one or two ways to be in the way.
func drawRules(r *rand.Rand, trip time.Duration) network.Rules {
	rules := far(trip)
	for range 1 + r.IntN(2) {
		switch r.IntN(8) {
		case 0, 1:
			rules.Freeze = []network.Freeze{{Bytes: int64(between(r, 14, 60)) << 10}}
		case 2:
			rules.Down = network.Rate{Bits: int(between(r, 64, 2000)) * 1000, Queue: between(r, 100, 1500) * time.Millisecond}
			rules.Up = rules.Down
		case 3:
			rules.Loss = float64(between(r, 1, 30)) / 1000
		case 4:
			rules.Dead = []netip.Addr{someFront(r)}
		case 5:
			rules.Upgrade = []network.Upgrade{{Address: someFront(r), After: trip}}
		case 6:
			rules.Hello = []network.Hello{{Address: someFront(r), Reset: r.IntN(2) == 0}}
		case 7:
			rules.Forget = between(r, 4, 15) * time.Second
		}
	}
	return rules
}

func someFront(r *rand.Rand) netip.Addr { return []front{front1, front2}[r.IntN(2)].address }

func between(r *rand.Rand, least, most int) time.Duration {
	return time.Duration(least + r.IntN(most-least+1))
}

func (d drawn) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v", d.trip)
	if d.gateway {
		b.WriteString(", gateway")
	}
	for _, p := range d.phases {
		fmt.Fprintf(&b, "; %v:", p.lasts)
		for _, f := range p.rules.Freeze {
			fmt.Fprintf(&b, " freeze at %d", f.Bytes)
		}
		if p.rules.Down.Bits > 0 {
			fmt.Fprintf(&b, " %d kbit/s queue %v", p.rules.Down.Bits/1000, p.rules.Down.Queue)
		}
		if p.rules.Loss > 0 {
			fmt.Fprintf(&b, " loss %.1f %%", 100*p.rules.Loss)
		}
		for _, a := range p.rules.Dead {
			fmt.Fprintf(&b, " %v dead", a)
		}
		for _, u := range p.rules.Upgrade {
			fmt.Fprintf(&b, " upgrades at %v reset", u.Address)
		}
		for _, h := range p.rules.Hello {
			fmt.Fprintf(&b, " hellos to %v stopped", h.Address)
		}
		if p.rules.Forget > 0 {
			fmt.Fprintf(&b, " forgets after %v", p.rules.Forget)
		}
	}
	return b.String()
}

const randomDown, randomUp = 1_000_000, 300_000

// settles is how long all may take to end once nothing is in the way.
const settles = 90 * time.Second

// random has chat, a download and an upload go on while the censor does what was drawn. All end,
// and exact.
func random(t *trial, d drawn) error {
	set := bothFronts(far(d.trip))
	set.gateway = d.gateway
	return t.within(set, func(w *world) error {
		c, err := sustained(t, w)
		if err != nil {
			return err
		}
		defer c.close()
		down, up := w.download(randomDown, time.Hour), w.upload(randomUp, time.Hour)
		for _, p := range d.phases {
			w.path.Change(func(r *network.Rules) { *r = p.rules })
			c.talk(t.ctx, p.lasts, time.Second, 0)
		}
		w.path.Change(func(r *network.Rules) { *r = far(d.trip) })
		freed := time.Now()
		last := c.ask(questionSize, smallAnswer)
		took, ok := awaited(c, last, settles)
		t.seconds("the last answer, once all is free", took, settles, ok)
		if !ok {
			t.inexact = append(t.inexact, fmt.Errorf("chat: %w: an answer never came", errInexact))
		}
		t.chat("chat", c, 0, 0, settles)
		t.finished("download", down, randomDown, freed)
		t.finished("upload", up, randomUp, freed)
		return nil
	})
}

// finished wants a transfer to end soon after all is free, if it has not before.
func (t *trial) finished(what string, x *transfer, size int64, freed time.Time) {
	over := freed.Add(settles)
	select {
	case <-x.done:
	case <-time.After(time.Until(over)):
	}
	x.end()
	t.moved(what, x, size, over.Sub(x.began))
	if x.err != nil {
		t.inexact = append(t.inexact, fmt.Errorf("%s: %w: it never ended", what, errInexact))
	}
}
