//go:build linux

package main

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"culvert/test/censor/network"
)

// besides are the paths of the table on which chat goes on beside a download and an upload while all connections
// freeze; besideRow makes others.
var besides = []string{"beside-390-30-gateway"}

func besideRows() (all []row) {
	for _, name := range besides {
		r, _ := besideRow(name)
		all = append(all, r)
	}
	return all
}

// besideName is the name of a row by its round trip in milliseconds, the kB that a connection brings, how many fronts
// there are, and the door.
var besideName = regexp.MustCompile(`^beside-(\d+)-(\d+)(-two)?(-gateway)?$`)

// besideRow makes the row of a name, and reports whether it is such a name.
func besideRow(name string) (row, bool) {
	m := besideName.FindStringSubmatch(name)
	if m == nil {
		return row{}, false
	}
	ms, _ := strconv.Atoi(m[1])
	kB, _ := strconv.Atoi(m[2])
	rules := far(time.Duration(ms) * time.Millisecond)
	rules.Freeze = []network.Freeze{{Bytes: int64(kB) * 1000}}
	set := setting{rules: rules, gateway: m[4] != ""}
	if m[3] != "" {
		set.fronts = []front{front1, front2}
	}
	what := fmt.Sprintf("%d ms, each connection freezes after %d kB from the server: chat beside a download and an upload", ms, kB)
	return row{name, what, false, func(t *trial) error { return amidFreezes(t, set) }}, true
}

// besideLearns is how long a client has, once it has noticed a freeze, to keep chat apart.
const besideLearns = 5 * time.Second

// amidFreezes looks at chat from the first freeze on, which is noticed within two seconds and four round trips: what was
// asked then waits for that, and whatever is asked later does not.
func amidFreezes(t *trial, set setting) error {
	return t.within(set, func(w *world) error {
		c, err := sustained(t, w)
		if err != nil {
			return err
		}
		defer c.close()
		down, up := w.download(mediaSize, time.Hour), w.upload(mediaSize, time.Hour)
		c.talk(t.ctx, t.span(50*time.Second, 20*time.Second), time.Second, 10*time.Second)
		notices := 2*time.Second + 8*set.rules.Delay
		t.chat("chat", c, 0, besideLearns, notices+besideLearns)
		for _, x := range []*transfer{down, up} {
			t.exact("media", x.end())
		}
		bytes, _ := down.progress()
		t.atLeast("media down beside it", float64(bytes)/1e3, 200, " kB")
		t.atMost("connections made", float64(len(w.path.Flows())), 70, "") // one a second for bulk, and chat's
		return nil
	})
}
