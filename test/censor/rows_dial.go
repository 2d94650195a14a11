//go:build linux

package main

import (
	"net/netip"
	"time"

	"culvert/test/censor/network"
)

// badAddress is one that a front's link names before the good one.
var badAddress = netip.MustParseAddr("10.77.1.9")

func dialRows() []row {
	return []row{
		{"dial-silent", "a front's first address accepts TCP and is silent", false, func(t *trial) error { return badFirst(t, network.Hello{Address: badAddress}) }},
		{"dial-reset", "a front's first address resets after the ClientHello", false, func(t *trial) error { return badFirst(t, network.Hello{Address: badAddress, Reset: true}) }},
		{"hello-size", "ClientHellos of more than 1,200 bytes are reset", false, largeHello},
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

func largeHello(t *trial) error {
	r := far(trip)
	r.Hello = []network.Hello{{Longer: 1200, Reset: true}}
	return t.within(setting{rules: r}, func(w *world) error {
		took, ok, err := firstAnswer(w)
		t.seconds("first answer", took, 5*time.Second, ok)
		return err
	})
}
