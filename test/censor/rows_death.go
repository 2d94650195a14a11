//go:build linux

package main

import (
	"net/netip"
	"time"

	"culvert/test/censor/network"
)

// bothFronts are free when a row begins.
func bothFronts(r network.Rules) setting { return setting{rules: r, fronts: []front{front1, front2}} }

// killed has the first front's address die.
func killed(w *world) {
	w.path.Change(func(r *network.Rules) { r.Dead = []netip.Addr{front1.address} })
}

func deathRows() []row {
	const what = "the front's address dies, another lives: "
	return []row{
		{"dies-download", what + "a download", true, diesDownload},
		{"dies-upload", what + "an upload", false, diesUpload},
		{"dies-chat", what + "chat", true, diesChat},
		{"dies-idle", what + "idle chat", false, diesIdle},
	}
}

// mediaRate makes a transfer last for some seconds.
func mediaRate(bits int) network.Rules {
	r := far(trip)
	r.Down = network.Rate{Bits: bits, Queue: time.Second / 2}
	r.Up = r.Down
	return r
}

func diesDownload(t *trial) error {
	return t.within(bothFronts(mediaRate(8_000_000)), func(w *world) error {
		x := w.download(10_000_000, time.Minute)
		rest(t.ctx, 4*time.Second)
		bytes, _ := x.progress()
		killed(w)
		x.wait()
		t.seconds("pause of the download", x.gap, 4*time.Second, x.err == nil)
		t.moved("download", x, 10_000_000, time.Minute)
		t.atLeast("bytes before the death", float64(bytes), 1, "")
		return nil
	})
}

// diesUpload looks at when bytes arrive, and at the time that an upload takes beside one without a death.
func diesUpload(t *trial) error {
	const size, limit = 10_000_000, time.Minute
	var undisturbed *transfer
	err := t.within(bothFronts(mediaRate(8_000_000)), func(w *world) error {
		undisturbed = w.upload(size, limit).wait()
		return undisturbed.err
	})
	if err != nil {
		return err
	}
	return t.within(bothFronts(mediaRate(8_000_000)), func(w *world) error {
		x := w.upload(size, limit)
		rest(t.ctx, 4*time.Second)
		bytes, _ := w.arrivals.read()
		killed(w)
		x.wait()
		_, gap := w.arrivals.read()
		t.atLeast("bytes before the death", float64(bytes), 1, "")
		t.seconds("pause of the upload", gap, 4*time.Second, x.err == nil)
		t.seconds("delay by a death of an upload of 10 MB", x.took-undisturbed.took, 4*time.Second, x.err == nil)
		t.exact("upload", x)
		return nil
	})
}

func diesChat(t *trial) error {
	return t.within(bothFronts(far(trip)), func(w *world) error {
		c, err := sustained(t, w)
		if err != nil {
			return err
		}
		defer c.close()
		c.talk(t.ctx, 8*time.Second, 250*time.Millisecond, 0)
		c.forget()
		killed(w)
		c.talk(t.ctx, 15*time.Second, 250*time.Millisecond, 15*time.Second)
		t.chat("chat", c, 0, 0, 4*time.Second)
		return nil
	})
}

func diesIdle(t *trial) error {
	return t.within(bothFronts(far(trip)), func(w *world) error {
		c, err := sustained(t, w)
		if err != nil {
			return err
		}
		defer c.close()
		rest(t.ctx, t.span(40*time.Second, 15*time.Second))
		killed(w)
		took, ok := c.answered(smallAnswer, 30*time.Second)
		t.seconds("answer of an idle chat", took, 4*time.Second, ok)
		return nil
	})
}
