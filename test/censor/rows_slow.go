//go:build linux

package main

import (
	"time"

	"culvert/test/censor/network"
)

const (
	slowTrip  = 300 * time.Millisecond
	slowBits  = 64_000
	slowQueue = 3 * time.Second
	endless   = 100_000_000 // bytes of a transfer that does not end while it is looked at
)

// slow is a link of 64 kbit/s both ways with a full queue of 3 s.
func slow() network.Rules {
	r := far(slowTrip)
	r.Up = network.Rate{Bits: slowBits, Queue: slowQueue}
	r.Down = r.Up
	return r
}

func slowRows() (all []row) {
	for _, d := range doors {
		set := setting{rules: slow(), gateway: d.gateway}
		all = append(all,
			row{"slow-down" + d.ending, "64 kbit/s at 300 ms: chat beside a download", !d.gateway, func(t *trial) error { return beside(t, set, true, false) }},
			row{"slow-up" + d.ending, "64 kbit/s at 300 ms: chat beside an upload", false, func(t *trial) error { return beside(t, set, false, true) }},
			row{"slow-both" + d.ending, "64 kbit/s at 300 ms: chat beside both", false, func(t *trial) error { return beside(t, set, true, true) }})
	}
	return append(all,
		row{"slow-upload", "64 kbit/s at 300 ms: 5 MB up", false, slowUpload},
		row{"slow-doubt", "64 kbit/s at 300 ms, full queue of 3 s: carriers that are taken for dead in 15 minutes", false, slowDoubt})
}

// beside is chat beside media, from before the media begins.
func beside(t *trial, set setting, download, upload bool) error {
	return t.within(set, func(w *world) error {
		c, err := sustained(t, w)
		if err != nil {
			return err
		}
		defer c.close()
		d := t.span(3*time.Minute, 30*time.Second)
		var all []*transfer
		if download {
			all = append(all, w.download(endless, time.Hour))
		}
		if upload {
			all = append(all, w.upload(endless, time.Hour))
		}
		rest(t.ctx, 2*time.Second)
		c.forget()
		from, began := carried(w), time.Now()
		c.talk(t.ctx, d, time.Second, 30*time.Second)
		until, took := carried(w), time.Since(began)
		for _, x := range all {
			t.exact("media", x.end())
		}
		p50, p95, most := 1500*time.Millisecond, 3*time.Second, 5*time.Second
		if download && upload {
			p50, p95, most = 0, 5*time.Second, 0
		}
		t.chat("chat", c, p50, p95, most)
		if download {
			t.atLeast("link down full", 100*rate(from.Down, until.Down, took)/slowBits, 85, " %")
		}
		if upload {
			t.atLeast("link up full", 100*rate(from.Up, until.Up, took)/slowBits, 85, " %")
		}
		return nil
	})
}

// carried is what has passed of all connections, whole packets and payload.
func carried(w *world) (sum network.Flow) {
	for _, f := range w.path.Flows() {
		sum.Up.Wire += f.Up.Wire
		sum.Up.Payload += f.Up.Payload
		sum.Down.Wire += f.Down.Wire
		sum.Down.Payload += f.Down.Payload
	}
	return sum
}

// rate is in bits a second.
func rate(before, after network.Count, took time.Duration) float64 {
	return float64(after.Wire-before.Wire) * 8 / took.Seconds()
}

func slowUpload(t *trial) error {
	return t.within(setting{rules: slow()}, func(w *world) error {
		size := int64(mediaSize)
		if t.options.short {
			size = 200_000
		}
		limit := time.Duration(float64(size)*8/slowBits*1.5) * time.Second
		x := w.upload(size, limit).wait()
		t.moved("upload", x, size, limit)
		t.atMost("connections made", float64(len(w.path.Flows())), 3, "")
		t.atMost("bytes more than were sent", 100*(float64(carried(w).Up.Payload)/float64(size)-1), 8, " %")
		return nil
	})
}

// slowDoubt counts connections that are made though none has died.
func slowDoubt(t *trial) error {
	return t.within(setting{rules: slow()}, func(w *world) error {
		c, err := sustained(t, w)
		if err != nil {
			return err
		}
		defer c.close()
		x := w.download(endless, time.Hour)
		rest(t.ctx, 20*time.Second)
		begun := time.Now()
		c.talk(t.ctx, t.span(15*time.Minute, time.Minute), time.Second, 30*time.Second)
		t.exact("media", x.end())
		t.atMost("connections made for no need", float64(len(after(w.path.Flows(), begun))), 4, "")
		return nil
	})
}
