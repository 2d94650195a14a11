package hostile

import (
	"crypto/rand"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// thief is a carrier of whoever has seen a token, and no more.
type thief struct {
	transport.Transport
	records []byte // not sent yet
}

// thief brings a token and a Join by a generation that there is none of, as a thief can name one that it
// has seen at best, whose secret it has not.
func (d *device) thief(token wire.Token) (*thief, error) {
	s, err := d.upgrade(token)
	if err != nil {
		return nil, err
	}
	join := make([]byte, 2+28)
	rand.Read(join)
	join[0], join[1] = 0, byte(session.Join)
	return &thief{Transport: s}, s.WriteMessage(join)
}

// says sends each frame as a record. Whatever a thief seals it by, to the origin the record is noise.
func (t *thief) says(frames ...wire.Frame) error {
	for _, f := range frames {
		record := make([]byte, wire.RecordHead+len(f.Append(nil))+wire.RecordOverhead)
		rand.Read(record)
		binary.BigEndian.PutUint16(record, uint16(len(record)-wire.RecordHead))
		t.records = append(t.records, record...)
		if len(t.records) > 16<<10 {
			if err := t.flush(); err != nil {
				return err
			}
		}
	}
	return t.flush()
}

func (t *thief) flush() error {
	defer func() { t.records = t.records[:0] }()
	return t.WriteMessage(t.records)
}

// thieves open 1,000 carriers by one token, and 53,000 tunnels with 60 bytes each by those that they get.
func (d *device) thieves(token wire.Token) (taken, opened int) {
	comeLast(15)
	early := make([]byte, 60)
	rand.Read(early)
	for range 1000 {
		s, err := d.thief(token)
		if err != nil {
			continue
		}
		defer s.Close()
		taken++
		for opened < 53_000 {
			var some []wire.Frame
			for range 100 {
				opened++
				some = append(some, open(uint32(opened), string(early)))
			}
			if s.says(some...) != nil {
				break
			}
		}
	}
	return taken, opened
}

// A thief has seen a user's token, by an edge that passed it on, or that has held it back. One carrier that
// can say nothing comes of it at most. Neither that user notices, on any device, nor another.
func TestAStolenTokenLocksNobodyOut(t *testing.T) {
	for name, holds := range map[string]bool{"passed on": false, "held back": true} {
		t.Run(name, func(t *testing.T) { isNoKey(t, holds) })
	}
}

func isNoKey(t *testing.T, holds bool) {
	w := newWorld(t)
	k := newKeeper(w, true, 0)
	k.holds = holds
	u := w.userBy(1, []string{k.at, w.front})
	waitFor(t, "a token", func() bool { return len(k.tokens()) > 0 })
	admitted, _ := u.opens(1)
	if admitted != 1 {
		t.Fatal("the user does not get in by another front")
	}
	before := w.counted("culvert_tunnels_opened_total")
	var taken, opened int
	seen := u.chatsWhile("", func(<-chan struct{}) { taken, opened = w.device(1).thieves(k.tokens()[0]) })
	t.Logf("%d carriers by 1,000 copies and %d tunnels asked for by them; the user beside %v, apart %v; origin %d MiB", taken, opened, seen.beside, seen.apart, w.origin.rss())
	wantCalm(t, "the user", seen)
	if want := map[bool]int{true: 1}[holds]; taken != want || opened != 53_000*want {
		t.Errorf("got %d carriers by one token and %d tunnels asked for, want %d and 53,000 by each", taken, opened, want)
	}
	if n := w.counted("culvert_tunnels_opened_total") - before; n != 1 {
		t.Errorf("got %.0f tunnels, want the user's chat alone", n)
	}
	w.user(2).promptAs(t, w.apart().user(2), "another user", 20, 2*time.Second)
	w.user(1).promptAs(t, w.apart().user(3), "the same link on another device", 20, 2*time.Second)
	if n := w.counted("culvert_shares_total", `whose="user"`) + w.counted("culvert_refused_total"); n > 0 {
		t.Errorf("got a share used up or a user refused %.0f times, want none charged", n)
	}
}

// Resets for another's tunnels come by a carrier of another session of the same user, by
// another user's, and by a thief's that has a token alone. The tunnels live.
func TestAResetFromElsewhereEndsNothing(t *testing.T) {
	w := newWorld(t)
	u := w.user(1)
	c, err := net.Dial("tcp", u.chat)
	must(t, err)
	defer c.Close()
	must(t, echo(c, true, 64))
	var resets []wire.Frame
	for id := range uint32(64) {
		resets = append(resets, wire.Frame{Kind: wire.Reset, Tunnel: id + 1, Code: byte(wire.Aborted)})
	}
	for _, number := range []uint32{1, 2} { // the same link on another device, and another link
		r, err := w.device(number).carrier(nil)
		must(t, err)
		defer r.Close()
		must(t, r.write(resets...))
		must(t, r.write(wire.Frame{Kind: wire.Ping}))
	}
	d := w.device(1)
	thief, err := d.thief(d.token())
	must(t, err)
	defer thief.Close()
	for range 3 {
		thief.says(resets...)
	}
	time.Sleep(200 * time.Millisecond)
	for range 5 {
		must(t, echo(c, false, 64))
	}
}
