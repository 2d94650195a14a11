package carrier

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// listsIn are the lists among all frames that were written at either door.
func (d *door) listsIn(t *testing.T) (all [][]byte) {
	t.Helper()
	records := d.records
	if d.profile.Messages {
		records = d.bodies
	}
	for _, r := range records(t) {
		for _, f := range r {
			if f.Kind == wire.Fronts {
				all = append(all, f.Body)
			}
		}
	}
	return all
}

// bodies lists the frames of each message that was written at the gateway door.
func (d *door) bodies(t *testing.T) (all [][]wire.Frame) {
	t.Helper()
	for _, m := range d.messages() {
		all = append(all, framesOf(t, m[numberLen:]))
	}
	return all
}

// A list goes once, to a client that has an older one and has said so, and in a record that goes
// anyway; also when it becomes newer while the carrier lives.
func TestAListOfFrontsRidesWithWhatGoesAnyway(t *testing.T) {
	t.Parallel()
	for name, profile := range map[string]*transport.Profile{"stream": transport.StreamProfile(), "gateway": transport.GatewayProfile()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDoor(profile)
				c, _ := newOf(d, false)
				list, version := bytes.Repeat([]byte("x"), wire.MaxFronts), uint32(7)
				c.Newest = func() ([]byte, uint32) { return list, version }
				ask := func() {
					c.carrierWide(nil, wire.Frame{Kind: wire.Ping, Pos: 1})
					time.Sleep(time.Second)
				}
				want := func(when string, n int) {
					t.Helper()
					if got := len(d.listsIn(t)); got != n {
						t.Fatalf("%s: %d lists were sent, want %d", when, got, n)
					}
				}
				c.OfferFronts()
				ask()
				want("before the client has said what it has", 0)
				c.takeKnown(7)
				ask()
				want("to a client that has it", 0)
				c.takeKnown(8)
				ask()
				want("to a client that has a newer one", 0)
				before := len(d.messages())
				c.takeKnown(0)
				time.Sleep(time.Minute)
				if got := len(d.messages()) - before; got != 0 {
					t.Errorf("a list made %d messages of its own, want none", got)
				}
				ask()
				want("to a client that has none", 1)
				ask()
				c.OfferFronts()
				ask()
				want("a second time", 1)
				version, list = 9, list[1:]
				c.OfferFronts()
				ask()
				want("when there is a newer one", 2)
			})
		})
	}
}

// What a client has it says again where what it said is lost; what it did not ask for is an error.
func TestAClientSaysWhichListItHas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.StreamProfile())
		c, _ := newOver(d)
		if err := c.carrierWide(nil, wire.Frame{Kind: wire.Fronts, Body: []byte("list")}); err == nil {
			t.Error("a list that nobody wants: got no error")
		}
		c.SayKnown(3)
		var came string
		c.Fronts = func(list []byte) { came = string(list) }
		c.SayKnown(5)
		c.sayKnown()
		synctest.Wait()
		var said []uint32
		for _, r := range d.records(t) {
			for _, f := range r {
				if f.Kind == wire.Known {
					said = append(said, f.Num)
				}
			}
		}
		if len(said) != 2 || said[0] != 5 || said[1] != 5 {
			t.Errorf("got %v said, want 5 twice", said)
		}
		if err := c.carrierWide(nil, wire.Frame{Kind: wire.Fronts, Body: []byte("list")}); err != nil || came != "list" {
			t.Errorf("got %q, %v", came, err)
		}
		if err := c.carrierWide(nil, wire.Frame{Kind: wire.Known, Num: 1}); err == nil {
			t.Error("Known to a client: got no error")
		}
		o, _ := newOf(newDoor(transport.StreamProfile()), false)
		if err := o.carrierWide(nil, wire.Frame{Kind: wire.Fronts}); err == nil {
			t.Error("Fronts to an origin: got no error")
		}
		if err := o.carrierWide(nil, wire.Frame{Kind: wire.Known, Num: 1}); err != nil {
			t.Errorf("Known to an origin without lists: got %v", err)
		}
		o.Close()
		c.Close()
	})
}
