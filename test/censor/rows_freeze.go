//go:build linux

package main

import (
	"fmt"
	"time"

	"culvert/test/censor/network"
)

// freezing is a path that freezes each connection.
func freezing(bytes int64) network.Rules {
	r := far(trip)
	r.Freeze = []network.Freeze{{Bytes: bytes}}
	return r
}

func freezeRows() (all []row) {
	for _, bytes := range []int64{frozen15, frozen20} {
		name, what := fmt.Sprintf("freeze%d", bytes/1000), fmt.Sprintf("each connection freezes after %d kB from the server: ", bytes/1000)
		for _, d := range doors {
			set := setting{rules: freezing(bytes), gateway: d.gateway}
			short := bytes == frozen15 && !d.gateway
			all = append(all,
				row{name + "-chat" + d.ending, what + "chat", short, func(t *trial) error { return freezeChat(t, set) }},
				row{name + "-answer" + d.ending, what + "64 kB in one answer", false, func(t *trial) error { return freezeAnswer(t, set) }},
				row{name + "-fast" + d.ending, what + "5 MB of media at --dial-rate 10", false, func(t *trial) error { return freezeFast(t, set) }})
			if !d.gateway {
				all = append(all, row{name + "-media", what + "media at the metered pace", bytes == frozen15, func(t *trial) error { return freezeMedia(t, set) }})
			}
		}
	}
	return all
}

func freezeChat(t *trial, set setting) error {
	return t.within(set, func(w *world) error {
		c, err := w.newChat()
		if err != nil {
			return err
		}
		defer c.close()
		c.talk(t.ctx, t.span(2*time.Minute, 20*time.Second), time.Second, 15*time.Second)
		t.chat("chat", c, 0, 1500*time.Millisecond, 3*time.Second)
		t.connections("chat", w, 7)
		return nil
	})
}

func freezeAnswer(t *trial, set setting) error {
	return t.within(set, func(w *world) error {
		c, err := sustained(t, w)
		if err != nil {
			return err
		}
		defer c.close()
		took, ok := c.answered(64_000, 60*time.Second)
		t.seconds("64 kB in one answer", took, 12*time.Second, ok)
		c.forget()
		c.talk(t.ctx, 5*time.Second, time.Second, 15*time.Second)
		t.chat("chat behind it", c, 0, 0, 3*time.Second)
		return nil
	})
}

// freezeMedia wants what one new connection a second brings, and no more
// connections than that.
func freezeMedia(t *trial, set setting) error {
	return t.within(set, func(w *world) error {
		d := t.span(time.Minute, 25*time.Second)
		x := w.download(mediaSize, d).wait()
		flows := w.path.Flows()
		t.moved("media", x, int64(metered*d.Seconds())*9/10, d)
		t.connections("media", w, 7)
		t.atMost("connections begun within 10 s", float64(busiest(flows, 10*time.Second)), 12, "")
		return nil
	})
}

func freezeFast(t *trial, set setting) error {
	limit := time.Minute
	if set.gateway {
		limit = 130 * time.Second
	}
	if !knows(t.bin, "--dial-rate") {
		t.absent("media with --dial-rate 10", fmt.Sprintf("≥ 5000 kB in %.0f s", limit.Seconds()))
		return nil
	}
	set.connect = []string{"--dial-rate", "10"}
	return t.within(set, func(w *world) error {
		x := w.download(mediaSize, limit).wait()
		t.moved("media with --dial-rate 10", x, mediaSize, limit)
		t.connections("media", w, 7)
		return nil
	})
}
