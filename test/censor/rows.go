//go:build linux

package main

import (
	"time"

	"culvert/test/censor/network"
)

// Trips and limits of the rows.
const (
	trip      = 150 * time.Millisecond
	frozen15  = 15_000
	frozen20  = 20_000
	mediaSize = 5_000_000
	metered   = 11_000 // bytes a second: what one new connection a second brings through a freeze at 15 kB
)

// far is a path of a round trip.
func far(trip time.Duration) network.Rules { return network.Rules{Delay: trip / 2} }

// rows are all, in the order of the table.
func rows(seed uint64) []row {
	var all []row
	for _, group := range [][]row{freezeRows(), besideRows(), slowRows(), deathRows(), choiceRows(), limitRows(), dialRows(), saysRows(), randomRows(seed)} {
		all = append(all, group...)
	}
	return all
}

// doors are those that carriers may go through, with the ending of a row's name.
var doors = []struct {
	gateway bool
	ending  string
}{{false, ""}, {true, "-gateway"}}

// sustained opens a chat and waits for its first answer: a relay that has found its way.
func sustained(t *trial, w *world) (*chat, error) {
	c, err := w.newChat()
	if err != nil {
		return nil, err
	}
	c.answered(smallAnswer, t.span(40*time.Second, 20*time.Second))
	return c, nil
}
