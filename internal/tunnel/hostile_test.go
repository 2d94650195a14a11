package tunnel

import (
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/session"
	"culvert/internal/wire"
)

func frameOf(f wire.Frame) []byte { return f.Append(nil) }

// lives sees that a tunnel goes on by the next carrier.
func lives(t *testing.T, n *Net, to *carrier.Carrier, app, service *memStream) {
	t.Helper()
	time.Sleep(time.Second)
	if !to.Dead() {
		t.Error("got a living carrier, want it dead")
	}
	talk(t, app, func() *memStream { return service }, []byte("up"), []byte("up"), []byte("down"), 9)
}

// What ends the carrier that brings it, sealed or not, at either end; its tunnel lives on.
func TestWhatEndsACarrier(t *testing.T) {
	t.Parallel()
	data := func(pos uint64) []byte {
		return frameOf(wire.Frame{Kind: wire.Data, Tunnel: 1, Pos: pos, Body: []byte("x")})
	}
	everywhere := map[string][]byte{
		"a kind that is none":            {99},
		"a frame cut short":              data(0)[:8],
		"a frame cut short after others": append(frameOf(wire.Frame{Kind: wire.Pong}), data(0)[:14]...),
		"a position out of bounds":       data(wire.MaxPos),
		"no tunnel":                      frameOf(wire.Frame{Kind: wire.Fin}), // and a number that Append leaves 0
		"a Reset for no reason":          frameOf(wire.Frame{Kind: wire.Reset, Tunnel: 1}),
		"bytes beyond the window":        data(wire.FirstWindow),
		"a Fin beyond the window":        frameOf(wire.Frame{Kind: wire.Fin, Tunnel: 1, Pos: wire.FirstWindow + 1}),
		"an ack of the future":           frameOf(wire.Frame{Kind: wire.Ack, Tunnel: 1, Pos: 1 << 40}),
		"a window too large":             frameOf(wire.Frame{Kind: wire.Ack, Tunnel: 1, Num: wire.MaxWindow + 1}),
		"records that were never sent":   frameOf(wire.Frame{Kind: wire.Received, Pos: 1 << 20}),
		"messages that were never sent":  frameOf(wire.Frame{Kind: wire.Got, Num: 1 << 20}),
	}
	toFar := map[string][]byte{
		"an Answer at the origin":    frameOf(wire.Frame{Kind: wire.Answer, Body: make([]byte, 73)}),
		"an Again that is none":      frameOf(wire.Frame{Kind: wire.Again, Body: make([]byte, 162)}),
		"an Open of no service":      frameOf(wire.Frame{Kind: wire.Open, Tunnel: 9, Body: []byte{9, 9}}),
		"an Open again of a service": frameOf(wire.Frame{Kind: wire.Open, Tunnel: 1, Body: []byte{9}}),
	}
	toNear := map[string][]byte{
		"an Open at the client":             frameOf(wire.Frame{Kind: wire.Open, Tunnel: 2, Body: wire.AppendService(nil, wire.Service{Kind: wire.Chat})}),
		"an Open of a tunnel at the client": frameOf(wire.Frame{Kind: wire.Open, Tunnel: 1, Body: wire.AppendService(nil, wire.Service{Kind: wire.Chat})}),
		"a Use at the client":               frameOf(wire.Frame{Kind: wire.Use, Tunnel: 1, Num: 9}),
		"an Again at the client":            frameOf(wire.Frame{Kind: wire.Again, Body: make([]byte, 162)}),
	}
	try := func(name string, record []byte, atOrigin bool) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doors(t, func(t *testing.T, n *Net) {
				n.keep = func() (fate, fate) { return fate{}, fate{} }
				c, far := n.first()
				app, service, _ := joined(t, n, c)
				from, to := far, c
				if atOrigin {
					from, to = c, far
				}
				n.forge(from, record)
				lives(t, n, to, app, service)
			})
		})
	}
	for name, record := range everywhere {
		try(name+", at the client", record, false)
		try(name+", at the origin", record, true)
	}
	for name, record := range toFar {
		try(name, record, true)
	}
	for name, record := range toNear {
		try(name, record, false)
	}
}

// What stands between the ends makes no record, and whatever it sends ends the carrier
// alone.
func TestWhatNobodySealedEndsACarrier(t *testing.T) {
	t.Parallel()
	for name, message := range map[string][]byte{
		"garbage":                []byte("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"),
		"a length cut short":     {1},
		"a record cut short":     append([]byte{0, 200}, make([]byte, 40)...),
		"a record that is none":  append([]byte{0, 40}, make([]byte, 40)...),
		"a plain message again":  append([]byte{0, 1}, make([]byte, 16)...),
		"a Turn to nothing":      {0, 5, 99},
		"a message that is none": {0, 8, 1, 2},
		"a Fill too long":        append([]byte{0, 7, 101}, make([]byte, 101)...),
		"a length of nothing":    {0, 0},
	} {
		for end, atOrigin := range map[string]bool{"client": false, "origin": true} {
			t.Run(name+", at the "+end, func(t *testing.T) {
				t.Parallel()
				doors(t, func(t *testing.T, n *Net) {
					n.keep = func() (fate, fate) { return fate{}, fate{} }
					c, far := n.first()
					app, service, _ := joined(t, n, c)
					from, to := far, c
					if atOrigin {
						from, to = c, far
					}
					m := message
					if n.gateway() {
						m = append([]byte{0, 0, 0, 99}, m...)
					}
					n.socket(from).WriteMessage(m)
					lives(t, n, to, app, service)
				})
			})
		}
	}
}

// Early records hold Open and Pad frames alone: an origin ends a carrier that brings
// anything else before its client has proved itself.
func TestAnEarlyRecordHoldsNothingButOpens(t *testing.T) {
	t.Parallel()
	data := frameOf(wire.Frame{Kind: wire.Data, Tunnel: 1, Body: []byte("x")})
	open := frameOf(wire.Frame{Kind: wire.Open, Tunnel: 1, Body: wire.AppendService(nil, wire.Service{Kind: wire.Chat})})
	for name, c := range map[string]struct {
		record []byte
		dead   bool
	}{
		"an Open":             {open, false},
		"an Open and a Pad":   {append(slices.Clone(open), 0, 1, 2), false},
		"an Open and bytes":   {append(slices.Clone(open), data...), true},
		"a Reset":             {frameOf(wire.Frame{Kind: wire.Reset, Tunnel: 1, Code: 1}), true},
		"a Ping":              {frameOf(wire.Frame{Kind: wire.Ping}), true},
		"a Use":               {frameOf(wire.Frame{Kind: wire.Use, Tunnel: 1, Num: 1}), true},
		"an Again":            {frameOf(wire.Frame{Kind: wire.Again, Body: make([]byte, 162)}), true},
		"Received":            {frameOf(wire.Frame{Kind: wire.Received}), true},
		"an ack of a tunnel ": {frameOf(wire.Frame{Kind: wire.Ack, Tunnel: 1}), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doors(t, func(t *testing.T, n *Net) {
				a, b := socketPair(1, fate{}, fate{passes: 18}) // the client hears the Challenge alone
				near, far := n.between(n.session, a, b, a, b)
				n.party(near).early, n.party(near).forge = true, c.record
				n.dial(near, []byte("early"))
				n.serve(near, far)
				time.Sleep(time.Second)
				if far.Dead() != c.dead || far.Live() {
					t.Errorf("got dead %v and live %v, want dead %v", far.Dead(), far.Live(), c.dead)
				}
			})
		})
	}
}

// A client does as it should: its early records hold Opens and nothing else, whatever
// there is to say.
func TestAClientsEarlyRecordsHoldOpensAlone(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		a, b := socketPair(1, fate{}, fate{delay: 200 * time.Millisecond})
		near, far := n.between(n.session, a, b, a, b)
		kinds := map[wire.Kind]int{}
		p := n.party(near)
		p.log = func(f wire.Frame) {
			if !near.Live() {
				kinds[f.Kind]++
			}
		}
		app, _ := n.dial(near, []byte("early"))
		n.serve(near, far)
		for range 30 {
			app.Write(bytesOf(5000, 1))
			near.Put(wire.Frame{Kind: wire.Pong})
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		if len(kinds) != 1 || kinds[wire.Open] != 1 {
			t.Errorf("got %v before the answer, want one Open", kinds)
		}
		service := <-n.service(1)
		got := make([]byte, 5+30*5000)
		if _, err := io.ReadFull(service, got); err != nil {
			t.Errorf("got %v, want all that the app wrote", err)
		}
	})
}

func TestFramesOfUnknownTunnelsCostNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		c, far := n.first()
		resets := 0
		n.watch(far, func(f wire.Frame) {
			if f.Kind == wire.Reset && wire.Reason(f.Code) == wire.Unknown {
				resets++
			}
		})
		const many = 20_000
		for id := range uint32(many) {
			kind := []wire.Kind{wire.Fin, wire.Use, wire.Ack, wire.Reset}[id%4]
			f := wire.Frame{Kind: kind, Tunnel: id + 1, Num: 1}
			if kind == wire.Use || kind == wire.Reset {
				f.Code = 1
			}
			c.Put(f)
			if id%100 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		if resets != many/2 || n.far.Tunnels() != 0 || far.Dead() {
			t.Errorf("got %d resets, %d tunnels, dead %v, want one for each Fin and Use, and none", resets, n.far.Tunnels(), far.Dead())
		}
	})
}

// Another session's tunnels are not reached, be it of the same link.
func TestAnotherSessionsTunnelIsUnknown(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		c, far := n.first()
		app, service, _ := joined(t, n, c)
		mine := n.session
		n.session = n.newSession()
		theirs, farTheirs := n.first()
		n.session = mine
		var answers []wire.Frame
		n.watch(farTheirs, func(f wire.Frame) {
			if f.Tunnel > 0 {
				answers = append(answers, f)
			}
		})
		theirs.Put(wire.Frame{Kind: wire.Use, Tunnel: 1, Num: 9, Code: wire.Alone | wire.Lost})
		theirs.Put(wire.Frame{Kind: wire.Data, Tunnel: 1, Body: []byte("forged")})
		theirs.Put(wire.Frame{Kind: wire.Reset, Tunnel: 1, Code: 1})
		time.Sleep(time.Second)
		synctest.Wait()
		want := wire.Frame{Kind: wire.Reset, Tunnel: 1, Code: byte(wire.Unknown)}
		if len(answers) != 2 || answers[0].Kind != want.Kind || answers[0].Code != want.Code {
			t.Errorf("got %v, want a Reset for the Use and the Data", answers)
		}
		if far.Load() != 1 || farTheirs.Load() != 0 {
			t.Error("the tunnel has moved to another session's carrier")
		}
		talk(t, app, func() *memStream { return service }, []byte("up"), []byte("up"), []byte("down"), 9)
	})
}

func TestAUseThatIsOlderThanTheLastMovesNothing(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		one, _ := n.first()
		two, farTwo := n.carrier(fate{}, fate{})
		three, farThree := n.carrier(fate{}, fate{})
		_, _, tun := joined(t, n, one)
		tun.Attach(two, false)
		time.Sleep(time.Second)
		for _, order := range []uint32{0, 1} {
			three.Put(wire.Frame{Kind: wire.Use, Tunnel: 1, Num: order, Code: wire.Alone})
		}
		time.Sleep(time.Second)
		if got := n.far.allTunnels()[0].Carrier(); got != farTwo || farThree.Dead() {
			t.Error("a late Use has moved the tunnel or ended its carrier")
		}
	})
}

// Of two carriers that are to be used beside others the one whose Use comes late is used, too, unless a
// newer one named a carrier alone.
func TestAUseThatAnotherOvertakesCountsBesideIt(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		n.door = session.Gateway
		one, _ := n.first()
		two, farTwo := n.carrier(fate{}, fate{})
		three, farThree := n.carrier(fate{}, fate{})
		four, farFour := n.carrier(fate{}, fate{})
		joined(t, n, one)
		use := func(c *carrier.Carrier, order uint32, how byte) {
			c.Put(wire.Frame{Kind: wire.Use, Tunnel: 1, Num: order, Code: how})
			time.Sleep(time.Second)
		}
		use(one, 7, wire.Alone)
		use(three, 9, 0)
		use(two, 8, 0)
		use(four, 6, 0)
		far := n.far.allTunnels()[0]
		sends := func(c *carrier.Carrier) (by, newest bool) {
			far.mu.Lock()
			defer far.mu.Unlock()
			p := far.pathOf(c)
			return p != nil && p.sends, far.current().carrier == c
		}
		if by, _ := sends(farTwo); !by {
			t.Error("the carrier of a Use that came late is not used")
		}
		if _, newest := sends(farThree); !newest {
			t.Error("the carrier of a Use that came late is the newest")
		}
		if by, _ := sends(farFour); by {
			t.Error("a carrier is used that was named before another was alone")
		}
		five, farFive := n.carrier(fate{}, fate{})
		use(one, 12, wire.Lost)
		use(five, 11, 0)
		if by, _ := sends(farFive); by {
			t.Error("a carrier is used that was named before the news that some have died, and may be among them")
		}
	})
}

func TestMessagesInAnyOrderAndTwiceGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		n.door = session.Gateway
		wild := fate{delay: time.Millisecond, shuffle: true, twice: true}
		c, _ := n.carrier(wild, wild)
		up, down := bytesOf(3<<20, 1), bytesOf(3<<20, 2)
		app, _ := n.dial(c, up[:100])
		talk(t, app, func() *memStream { return <-n.service(1) }, up[100:], up, down, 3<<10)
		time.Sleep(time.Second)
		n.wantTunnels(t, 0, 0)
		if n.carriersMade() != 1 || c.Dead() {
			t.Error("a carrier of the gateway door died of the order of messages")
		}
	})
}

// A message that API Gateway loses ends the carrier, whoever sent it, and the next brings
// what it held.
func TestALostMessageEndsItsCarrierAlone(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		n.door = session.Gateway
		n.tendAlways()
		n.keep = func() (fate, fate) {
			f := fate{delay: time.Millisecond, shuffle: true, twice: true, lost: 12}
			return f, f
		}
		up, down := bytesOf(4<<20, 1), bytesOf(4<<20, 2)
		app, _ := n.dial(nil, up[:100])
		n.replace()
		talk(t, app, func() *memStream { return <-n.service(1) }, up[100:], up, down, 30<<10)
		if n.carriersMade() < 3 {
			t.Errorf("got %d carriers, want several", n.carriersMade())
		}
	})
}

// Whatever a peer seals, nothing panics or hangs, and the bytes stay what they are once
// the carrier is replaced.
func FuzzCarrier(f *testing.F) {
	f.Add(frameOf(wire.Frame{Kind: wire.Data, Tunnel: 1, Body: []byte("x")}), true, false)
	f.Add(frameOf(wire.Frame{Kind: wire.Open, Tunnel: 2, Body: []byte{1, 0}}), true, true)
	f.Add(append(frameOf(wire.Frame{Kind: wire.Ping}), frameOf(wire.Frame{Kind: wire.Leave})...), false, false)
	f.Add(frameOf(wire.Frame{Kind: wire.Ack, Tunnel: 1, Num: wire.MaxWindow}), false, true)
	f.Fuzz(func(t *testing.T, record []byte, toFar, gateway bool) {
		if len(record) == 0 || len(record) > 60_000 || touches(record) {
			return
		}
		bubble(t, func(t *testing.T, n *Net) {
			if gateway {
				n.door = session.Gateway
			}
			c, far := n.first()
			app, service, tun := joined(t, n, c)
			if toFar {
				n.forge(c, record)
			} else {
				n.forge(far, record)
			}
			time.Sleep(time.Second)
			next, _ := n.carrier(fate{}, fate{})
			c.Close()
			synctest.Wait()
			tun.Attach(next, true)
			talk(t, app, func() *memStream { return service }, []byte("up"), []byte("up"), []byte("down"), 9)
		})
	})
}

// touches reports whether a record has a frame that the peer of tunnel 1 may send, and
// that changes what its streams say or where it sends.
func touches(record []byte) bool {
	for len(record) > 0 {
		f, more, err := wire.NextFrame(record)
		if err != nil {
			return false
		}
		if f.Tunnel == 1 && f.Kind != wire.Open {
			return true
		}
		record = more
	}
	return false
}
