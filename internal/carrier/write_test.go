package carrier

import (
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// Records begin small, and grow only with what the peer has received by this carrier, so
// that a path that freezes early passes some.
func TestRecordsGrowWithWhatThePeerHasReceived(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.StreamProfile())
		c, _ := newOver(d)
		d.peer = nil
		s := c.newBulk(1)
		most := func() (most int) {
			for _, m := range d.messages() {
				most = max(most, len(m))
			}
			return most
		}
		s.add(1 << 20)
		synctest.Wait()
		if got := most(); got > leastRecord {
			t.Errorf("got a record of %d bytes of which none were received, want %d at most", got, leastRecord)
		}
		for _, received := range []uint64{16 << 10, 40 << 10, 200 << 10, 1 << 20} {
			s.add(1 << 20)
			for sentBy(c) < received {
				time.Sleep(time.Millisecond)
				if err := c.confirm(min(received, sentBy(c)), uint64(time.Now().UnixMicro())); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			if err := c.confirm(received, uint64(time.Now().UnixMicro())); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := most(); got > int(received/2) || received == 1<<20 && got < leastRecord {
				t.Errorf("got a record of %d bytes where %d were received, want a half at most", got, received)
			}
		}
		if err := c.confirm(sentBy(c)+1, 0); err != wire.ErrFrame {
			t.Errorf("a count of what was not sent: got %v, want %v", err, wire.ErrFrame)
		}
	})
}

// A path on which writing takes long has small records, so that chat never waits long.
func TestRecordsShrinkOnASlowPath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.StreamProfile())
		c, _ := newOver(d)
		s := c.newBulk(1)
		for range 9 {
			s.add(1 << 20)
			synctest.Wait()
			c.confirm(sentBy(c), uint64(time.Now().UnixMicro()))
		}
		d.mu.Lock()
		d.takes = time.Second
		d.mu.Unlock()
		s.add(10 << 20)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		all := d.messages()
		if got := len(all[len(all)-1]); got > leastRecord {
			t.Errorf("got a record of %d bytes, want %d", got, leastRecord)
		}
		began := time.Now()
		chat := c.newBulk(2)
		chat.add(50)
		for turns := 0; turns == 0; {
			time.Sleep(10 * time.Millisecond)
			chat.mu.Lock()
			turns = len(chat.filled)
			chat.mu.Unlock()
		}
		if took := time.Since(began); took > 2*d.takes {
			t.Errorf("chat waited for %v, want a record at most", took)
		}
		c.Close()
		c.set.tasks.Wait()
	})
}

// Small frames pass ahead of bulk, and bulk has its turn among them.
func TestBulkHasItsTurnAmongSmallFrames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.StreamProfile())
		d.takes = time.Millisecond
		c, _ := newOver(d)
		s, chat := c.newBulk(1), c.newBulk(2)
		s.add(1 << 20)
		for range 200 {
			chat.add(10)
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if len(s.filled) < 200/(maxStreak+2) || len(chat.filled) < 50 {
			t.Errorf("got %d turns of bulk and %d of chat", len(s.filled), len(chat.filled))
		}
		c.Close()
		c.set.tasks.Wait()
	})
}

// Who writes for itself, as nobody else does, is let go when its own frames have gone,
// however much others have to say.
func TestWhoWritesIsNotKeptWritingForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.StreamProfile())
		d.takes = time.Millisecond
		c, _ := newOver(d)
		mine, theirs := c.newBulk(1), c.newBulk(2)
		mine.left = 10
		time.AfterFunc(100*time.Microsecond, func() { // nobody else writes by then
			for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(300 * time.Microsecond) {
				theirs.add(10)
			}
		})
		began := time.Now()
		mine.slot.Send(10)
		if took := time.Since(began); took > 100*time.Millisecond || len(mine.filled) != 1 {
			t.Errorf("writing for itself took %v", took)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if c.queue.running || theirs.left > 0 {
			t.Errorf("somebody writes %v, and %d bytes are left", c.queue.running, theirs.left)
		}
	})
}

// What is composed while the session says that it goes on otherwise may be dropped by the
// peer unread: senders are told, after their turn.
func TestSendersHearThatATurnCameToNothing(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]*transport.Profile{"stream": transport.StreamProfile(), "gateway": transport.GatewayProfile()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, party := newOver(newDoor(p))
				s := c.newBulk(1)
				party.event = session.Speak
				before := 0
				s.before = func() {
					s.mu.Unlock() // as a reader that is a moment earlier
					c.takePlain(session.Unknown, nil)
					s.mu.Lock()
					before = s.lost
				}
				s.add(100)
				time.Sleep(time.Second)
				synctest.Wait()
				if len(s.filled) == 0 || s.lost <= before {
					t.Errorf("got %d turns, told %d times before and %d after, want it told after its turn", len(s.filled), before, s.lost-before)
				}
			})
		})
	}
}

// Nothing is sent while the session lets no record go, and all of it afterwards.
func TestNothingFollowsAJoinOrAgreeBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]*transport.Profile{"stream": transport.StreamProfile(), "gateway": transport.GatewayProfile()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDoor(p)
				c, party := newOver(d)
				party.set(func() { party.head, party.held = append([]byte{0, byte(session.Join)}, make([]byte, 28)...), true })
				s := c.newBulk(1)
				c.speak()
				for range 3 {
					s.add(100)
					c.Put(wire.Frame{Kind: wire.Pong})
					time.Sleep(time.Second)
				}
				if got := d.messages(); len(got) != 1 {
					t.Errorf("got %d messages before the answer, want the hello", len(got))
				}
				party.set(func() { party.held = false })
				c.release()
				time.Sleep(time.Second)
				synctest.Wait()
				if got := d.messages(); len(got) != 2 || len(s.filled) != 1 || s.filled[0] != 300 {
					t.Errorf("got %d messages and %v, want one more with all that waited", len(got), s.filled)
				}
				if c.queue.running {
					t.Error("somebody writes though there is nothing to write")
				}
			})
		})
	}
}

// A Received goes by itself after 4 kB, and rarely later; what holds no bytes of a stream
// asks for none.
func TestReceivedIsSaidAsBytesCome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.StreamProfile())
		c, _ := newOf(d, false)
		come := func(f wire.Frame) {
			sealed := append(f.Append(nil), make([]byte, wire.RecordOverhead)...)
			if _, err := c.takeRecord(0, sealed, nil); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		received := func() (counts []uint64) {
			for _, r := range d.records(t) {
				for _, f := range r {
					if f.Kind == wire.Received {
						counts = append(counts, f.Pos)
					}
				}
			}
			return counts
		}
		for range 1000 {
			come(wire.Frame{Kind: wire.Ack, Tunnel: 1, Num: 1})
		}
		if got := received(); len(got) != 0 {
			t.Errorf("got %v of acks alone, want none", got)
		}
		come(wire.Frame{Kind: wire.Data, Tunnel: 1, Body: []byte("x")})
		if got := received(); len(got) != 1 {
			t.Fatalf("got %v after 4 kB and a byte of a stream, want one", got)
		}
		for range 100 {
			come(wire.Frame{Kind: wire.Data, Tunnel: 1, Body: make([]byte, 60_000)})
		}
		got := received()
		if len(got) < 10 || len(got) > 60 || got[len(got)-1] < 5_000_000 {
			t.Errorf("got %d counts up to %d, want some", len(got), got[len(got)-1])
		}
	})
}
