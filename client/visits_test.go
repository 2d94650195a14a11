package client

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"culvert/client/kept"
	"culvert/internal/link"
	"culvert/internal/seal"
)

// What visits may bring is spent and made up for, is known again after a restart, and outlives a change of networks.
func TestVisitsSpendWhatAnHourMakesUpFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var v visits
		if room := v.start(0, true, time.Now()); room != visitMost {
			t.Errorf("got %d bytes, want %d", room, visitMost)
		}
		if v.start(0, false, time.Now()) != 0 {
			t.Error("two visits at once")
		}
		v.ended(0, 39_000, visitMost, nil)
		if v.start(0, false, time.Now()) != 0 {
			t.Error("a visit of next to nothing")
		}
		var k kept.Front
		v.known(0, &k)
		var again visits
		again.recall(0, k, false)
		time.Sleep(30 * time.Minute)
		for _, v := range []*visits{&v, &again} {
			v.begin()
			if room := v.start(0, false, time.Now()); room < 23_900 || room > 24_100 {
				t.Errorf("got %d bytes, want half of what an hour makes up for, and 3,000", room)
			}
		}
		again.recall(1, kept.Front{VisitBytes: 1 << 19, VisitAt: time.Now().Add(99 * time.Hour).Unix()}, false)
		time.Sleep(time.Hour)
		if again.start(1, false, time.Now()) == 0 {
			t.Error("a clock that was wrong forbids visits for longer than an hour")
		}
	})
}

// However much a front's page is, and however often it is asked for, no hour of a day costs 100 kB, also if the client
// is started again all the time.
func TestNoHourOfVisitsCosts100kB(t *testing.T) {
	t.Parallel()
	const uploads = 6_000 // of requests that were sent whole when all was spent
	synctest.Test(t, func(t *testing.T) {
		type cost struct {
			at    time.Time
			bytes int
		}
		var all []cost
		v := &visits{}
		for minute := range 24 * 60 {
			if room := v.start(0, false, time.Now()); room > 0 {
				v.ended(0, room+uploads, room, nil)
				all = append(all, cost{time.Now(), room + uploads})
			}
			if minute%7 == 0 {
				var k kept.Front
				v.known(0, &k)
				v = &visits{}
				v.recall(0, k, false)
			}
			time.Sleep(time.Minute)
		}
		for i, first := range all {
			sum := 0
			for _, c := range all[i:] {
				if c.at.Sub(first.at) < time.Hour {
					sum += c.bytes
				}
			}
			if sum >= 100_000 {
				t.Fatalf("got %d bytes within an hour", sum)
			}
		}
		if len(all) < 24 {
			t.Errorf("got %d visits, want one an hour at least", len(all))
		}
	})
}

// A browser has the page of a front that was good here before.
func TestAFrontThatWasGoodIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	var v visits
	v.recall(0, kept.Front{}, true)
	v.recall(1, kept.Front{}, false)
	if !v.isKnown(0) || v.isKnown(1) {
		t.Errorf("got %v of one that was good, and %v of another", v.isKnown(0), v.isKnown(1))
	}
	if v.begin(); v.isKnown(0) {
		t.Error("it is known in another network")
	}
}

func TestThereIsOneVisitBeforeASocketAndOneMoreIfItFailed(t *testing.T) {
	t.Parallel()
	var v visits
	for i := range visitTries + 1 {
		if room := v.start(0, true, time.Now()); (room > 0) != (i < visitTries) {
			t.Errorf("try %d: got %d bytes", i+1, room)
		}
		v.ended(0, 0, visitMost, errors.New("no page"))
	}
	v.begin()
	v.start(0, true, time.Now())
	v.ended(0, 0, visitMost, nil)
	if v.start(0, true, time.Now()) != 0 {
		t.Error("another visit before the first socket")
	}
	v.entered(1)
	if v.start(1, true, time.Now()) != 0 {
		t.Error("a visit before a second socket")
	}
}

// Networks that count bytes or connections, fronts that want none, and the gateway door are not visited.
func TestNoVisitIsMadeWhereItCostsASocket(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Client){
		"a gateway":          func(c *Client) { c.fronts.all[0].Gateway = true },
		"a front that no":    func(c *Client) { c.fronts.all[0].NoVisit = true },
		"bytes are known":    func(c *Client) { c.budgets.recall(0, kept.Front{Limit: 15_000, Until: 1 << 40}) },
		"minutes are known":  func(c *Client) { c.budgets.recall(0, kept.Front{Minute: 4}) },
		"the client does no": func(c *Client) { c.cfg.Visit = false },
		"nothing":            nil,
	} {
		c, err := New(Config{Link: &link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{{Host: "a.example", Path: "/"}}}, Visit: true})
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(c)
		}
		if c.mayVisit(0) != (change == nil) {
			t.Errorf("%s: got %v", name, c.mayVisit(0))
		}
	}
}

// A meter lets no byte more come than it has, by however many connections, and counts what goes.
func TestAMeterEndsWhatItMeasures(t *testing.T) {
	t.Parallel()
	m := &meter{}
	m.left.Store(10)
	for _, want := range []int{8, 2, 0} {
		near, far := net.Pipe()
		go far.Write(make([]byte, 8))
		c := m.over(near)
		if n, err := c.Read(make([]byte, 100)); n != want || (err == nil) != (want > 0) {
			t.Errorf("got %d bytes, %v, want %d", n, err, want)
		}
		near.Close()
		far.Close()
	}
	near, far := net.Pipe()
	defer far.Close()
	go far.Read(make([]byte, 8))
	m.left.Store(10)
	m.over(near).Write(make([]byte, 7))
	if got := m.left.Load(); got != 3 {
		t.Errorf("got %d bytes left after 7 went, want 3", got)
	}
}
