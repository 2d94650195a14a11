//go:build linux

package main

import (
	"errors"
	"net/netip"
	"os"
	"time"

	"culvert/test/censor/network"
)

// badAddress is one that a front's link names before the good one.
var badAddress = netip.MustParseAddr("10.77.1.9")

// coldTrips are those of TCP, TLS, the WebSocket, and of the first question and its answer; coldStart is what the
// program and its handshakes take beside them.
const (
	coldTrips = 4
	coldStart = trip / 2
)

func dialRows() []row {
	return []row{
		{"dial-silent", "a front's first address accepts TCP and is silent", false, func(t *trial) error { return badFirst(t, network.Hello{Address: badAddress}) }},
		{"dial-reset", "a front's first address resets after the ClientHello", false, func(t *trial) error { return badFirst(t, network.Hello{Address: badAddress, Reset: true}) }},
		{"hello-size", "ClientHellos of more than 1,200 bytes are reset", false, largeHello},
		{"cold", "nothing is blocked, and nothing is known of the network", false, cold},
	}
}

// badFirst has a front of two addresses. What listens at the second answers at the
// first, too, and the path comes between.
func badFirst(t *trial, rule network.Hello) error {
	r := far(trip)
	r.Hello = []network.Hello{rule}
	f := front1
	f.more = []netip.Addr{badAddress}
	return t.within(setting{rules: r, fronts: []front{f}}, func(w *world) error {
		l, err := w.path.Server.Listen(badAddress.String() + ":443")
		if err != nil {
			return err
		}
		defer l.Close()
		took, ok, err := firstAnswer(w)
		t.seconds("first answer", took, 5*time.Second, ok)
		if err != nil {
			return err
		}
		took, ok, err = firstAnswer(w)
		t.seconds("first answer of another connection", took, time.Second, ok)
		return err
	})
}

// cold starts a client that knows nothing, and wants the answer to an app's first question, counted from the start of
// the program: with a visit to the front's page before, and without one.
func cold(t *trial) error {
	for _, c := range []struct {
		what, link string
		most       time.Duration
	}{
		{"first answer behind a visit", "", 2500 * time.Millisecond},
		{"first answer without a visit", ";visit=no", coldTrips*trip + coldStart},
	} {
		err := t.within(setting{rules: far(trip), link: c.link}, func(w *world) error {
			w.disconnect()
			home := w.file("home")
			if err := errors.Join(os.RemoveAll(home), os.Mkdir(home, 0o700)); err != nil {
				return err
			}
			began := time.Now()
			if err := w.connect(); err != nil {
				return err
			}
			_, ok, err := firstAnswer(w)
			t.seconds(c.what, time.Since(began), c.most, ok)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func largeHello(t *trial) error {
	r := far(trip)
	r.Hello = []network.Hello{{Longer: 1200, Reset: true}}
	return t.within(setting{rules: r}, func(w *world) error {
		took, ok, err := firstAnswer(w)
		t.seconds("first answer", took, 5*time.Second, ok)
		return err
	})
}
