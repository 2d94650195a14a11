package carrier

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// sentAt says when messages went, since began.
func (d *door) sentAt(began time.Time) (at []time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, when := range d.at {
		at = append(at, when.Sub(began))
	}
	return at
}

// What waits, and for how long: a message is paid for, and chat is not held.
func TestFramesWaitForOthersOnlyWhereThatPays(t *testing.T) {
	t.Parallel()
	const small, part, full = 100, wire.MaxTextBody / 2, 2 * wire.MaxTextBody
	const ack = 0
	for name, c := range map[string]struct {
		writes []int
		heard  bool // the peer answers the first at once
		want   []time.Duration
	}{
		"a chat message":           {[]int{small}, false, []time.Duration{0}},
		"another right after it":   {[]int{small, small}, false, []time.Duration{0, messagePace}},
		"another after the answer": {[]int{small, small}, true, []time.Duration{0, 0}},
		"half a message of bulk":   {[]int{part}, false, []time.Duration{fillWait}},
		"two messages of bulk":     {[]int{full}, false, []time.Duration{0, 0, fillWait}},
		"an ack":                   {[]int{ack}, false, []time.Duration{fillWait}},
		"an ack that meets chat":   {[]int{ack, small}, false, []time.Duration{0}},
		"two halves of bulk":       {[]int{part, part + 99}, false, []time.Duration{0, fillWait}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDoor(transport.GatewayProfile())
				car, _ := newOver(d)
				began, sum := time.Now(), 0
				var all []*bulk
				for i, n := range c.writes {
					s := car.newBulk(uint32(i + 1))
					all = append(all, s)
					sum += n
					if n == ack {
						s.mu.Lock()
						s.before = func() { s.left = 1 } // a frame without bytes, as far as the queue knows
						s.mu.Unlock()
						s.slot.Ready(0)
					} else {
						s.add(n)
					}
					if synctest.Wait(); i == 0 && c.heard {
						car.messages.confirm(1)
						car.wake()
					}
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if got := d.sentAt(began); !slices.Equal(got, c.want) {
					t.Errorf("got messages at %v, want %v", got, c.want)
				}
				for _, s := range all {
					if s.left > 0 {
						t.Errorf("%d bytes are left", s.left)
					}
				}
				car.Close()
				car.set.tasks.Wait()
			})
		})
	}
}

// A message is at most as large as one may be, and nothing is taken of senders for the next
// while one is being written: what is not sealed may still go by another carrier.
func TestOneMessageIsComposedAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.GatewayProfile())
		d.takes = time.Second
		c, _ := newOver(d)
		var all []*bulk
		for id := range uint32(20) {
			s := c.newBulk(id + 1)
			s.add(50_000)
			all = append(all, s)
		}
		taken := func() (n int) {
			for _, s := range all {
				s.mu.Lock()
				n += 50_000 - s.left
				s.mu.Unlock()
			}
			return n
		}
		for i := 1; i <= 5; i++ {
			time.Sleep(time.Second - time.Millisecond)
			if got := taken(); got > i*wire.MaxTextBody || got < i*wire.MaxTextBody*9/10 {
				t.Errorf("got %d bytes taken while message %d is written", got, i)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		sum := 0
		for _, m := range d.messages() {
			if sum += len(m); len(m) > wire.MaxTextBody {
				t.Errorf("got a message of %d bytes, want %d at most", len(m), wire.MaxTextBody)
			}
		}
		if got := len(d.messages()); taken() != 20*50_000 || got > 20*50_000/wire.MaxTextBody+2 {
			t.Errorf("got %d bytes in %d messages, want all, in full ones", taken(), got)
		}
		c.Close()
		c.set.tasks.Wait()
	})
}

// An Open with the longest name fits into whatever room a sender is asked for.
func TestTheLongestOpenFitsWhereASenderIsAsked(t *testing.T) {
	t.Parallel()
	long := wire.Service{Kind: wire.Web, Host: string(make([]byte, 253))}
	f := wire.Frame{Kind: wire.Open, Tunnel: 1, Body: append([]byte{byte(long.Kind), 253}, long.Host...)}
	use := wire.Frame{Kind: wire.Use, Tunnel: 1}
	ack := wire.Frame{Kind: wire.Ack, Tunnel: 1}
	if n := len(ack.Append(use.Append(f.Append(nil)))); n > leastFill {
		t.Errorf("got %d bytes, want %d at most", n, leastFill)
	}
}

// A message that would hold nothing but what every message begins with is not sent.
func TestATurnAloneIsNoMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.GatewayProfile())
		c, p := newOver(d)
		p.turn = true
		s := c.newBulk(1)
		c.release()
		s.slot.Ready(0)
		s.slot.Ready(9000)
		time.Sleep(time.Second)
		if got := d.messages(); len(got) > 0 {
			t.Errorf("got %d messages, want none: nobody has anything to say", len(got))
		}
		s.add(1)
		time.Sleep(time.Second)
		if got := d.messages(); len(got) != 1 || c.messages.number != 1 {
			t.Errorf("got %d messages, want one", len(got))
		}
	})
}

func TestMessagesInAnyOrderAreNewOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a arrivals
		for _, c := range []struct {
			n       uint32
			next    uint32
			missing bool
		}{
			{0, 1, false}, {0, 1, false}, {3, 1, true}, {3, 1, true}, {2, 1, true}, {1, 4, false}, {2, 4, false}, {4, 5, false},
		} {
			_, err := a.note(c.n)
			time.Sleep(time.Second)
			if missing := a.missing(time.Now()) > 0; err != nil || a.next != c.next || missing != c.missing {
				t.Errorf("%d: got up to %d, missing %v, %v, want %v", c.n, a.next, missing, err, c)
			}
		}
		if _, err := a.note(5 + maxAhead + 1); err != ErrMissing {
			t.Errorf("got %v, want %v for one too far ahead", err, ErrMissing)
		}
		if _, err := a.note(5 + maxAhead); err != nil {
			t.Errorf("got %v for one just near enough", err)
		}
	})
}

func TestAClientMissesAMessageOfTheOrigin(t *testing.T) {
	t.Parallel()
	const late = 41 * time.Second
	var m messages
	m.came(0)
	m.came(2)
	if got := m.overdue(time.Now().Add(late), true, 0); got < late-time.Second {
		t.Errorf("message 1 is missing for 41 s: got %v, want that", got)
	}
	if got := m.overdue(time.Now().Add(late), true, late); got != 0 {
		t.Errorf("on a link where a message takes 41 s: got %v, want none overdue", got)
	}
	m.came(1)
	if got := m.overdue(time.Now().Add(late), true, 0); got != 0 {
		t.Errorf("all have come: got %v, want none overdue", got)
	}
}

// A client asks after a message of its own of which the origin has said nothing; the
// origin does not, and neither does either after one that needs no answer.
func TestAClientMissesAnAnswerToItsMessage(t *testing.T) {
	t.Parallel()
	const late = 41 * time.Second
	var m messages
	overdue := func(asks bool) bool { return m.overdue(time.Now().Add(late), asks, 0) > 0 }
	m.sent()
	if overdue(true) {
		t.Error("got an ack missed, want no answer to be due")
	}
	m.ask(m.sent())
	m.sent()
	if !overdue(true) || overdue(false) {
		t.Errorf("got missed by a client %v and by an origin %v, want the client's", overdue(true), overdue(false))
	}
	m.confirm(1)
	if !overdue(true) {
		t.Error("got no message missed, want the second")
	}
	m.confirm(2)
	if overdue(true) {
		t.Error("got a message missed, want none: what asks has come")
	}
	if err := m.confirm(4); err != errGot {
		t.Errorf("messages that were not sent: got %v, want %v", err, errGot)
	}
}

// What a client says is asked for though an ack is due, too, or has its turn when the bytes come.
func TestBytesBesideAnAckNeedAnAnswer(t *testing.T) {
	t.Parallel()
	for name, say := range map[string]func(s *bulk){
		"an ack that is due":        func(s *bulk) { s.slot.ScheduleAck(time.Hour); s.add(100) },
		"bytes in the turn of acks": func(s *bulk) { s.before = func() { s.left = 100 }; s.slot.Ready(0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDoor(transport.GatewayProfile())
				c, _ := newOver(d)
				say(c.newBulk(1))
				time.Sleep(time.Second)
				if got := c.overdue(time.Now().Add(time.Minute)); len(d.messages()) != 1 || got < time.Minute {
					t.Errorf("got %d messages and an answer missed for %v, want one, and a minute", len(d.messages()), got)
				}
				c.Close()
				c.set.tasks.Wait()
			})
		})
	}
}

// An origin asks when it does not know whether its last messages have come, but for what a client
// waits for; again and again, and ever more rarely, until it hears.
func TestAnOriginAsksWhetherItsLastMessagesCame(t *testing.T) {
	t.Parallel()
	answers := func(c *Carrier) { // what it says next
		c.count(100, 100)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.in.elicits, c.in.waits = true, true
	}
	for name, c := range map[string]struct {
		say  func(c *Carrier, s *bulk)
		asks int
	}{
		"bytes":                      {func(_ *Carrier, s *bulk) { s.add(100) }, 5},
		"an answer":                  {func(c *Carrier, s *bulk) { answers(c); s.add(100) }, 0},
		"bytes behind an answer":     {func(c *Carrier, s *bulk) { answers(c); s.add(100); time.Sleep(time.Second); s.add(100) }, 5},
		"bytes that have come":       {func(c *Carrier, s *bulk) { s.add(100); time.Sleep(time.Second); c.messages.confirm(1) }, 0},
		"nothing but an ack":         {func(_ *Carrier, s *bulk) { s.slot.Ready(0) }, 0},
		"bytes before an answer":     {func(c *Carrier, s *bulk) { s.add(100); time.Sleep(time.Second); answers(c); s.add(100) }, 0},
		"bytes that come in the end": {func(c *Carrier, s *bulk) { s.add(100); time.Sleep(50 * time.Second); c.messages.confirm(2) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDoor(transport.GatewayProfile())
				car, _ := newOf(d, false)
				asked := func() (n int) {
					for _, m := range d.messages() {
						if f, _, err := wire.NextFrame(m[numberLen : len(m)-wire.RecordOverhead]); err == nil && f.Kind == wire.Ping {
							n++
						}
					}
					return n
				}
				done := make(chan struct{})
				go func() { defer close(done); c.say(car, car.newBulk(1)) }()
				for end := time.Now().Add(15 * time.Minute); time.Now().Before(end); time.Sleep(5 * time.Second) {
					car.set.Sweep(time.Now())
				}
				<-done
				if got := asked(); got != c.asks {
					t.Errorf("got %d questions, want %d", got, c.asks)
				}
				car.Close()
				car.set.tasks.Wait()
			})
		})
	}
}

// An edge that cuts the record off a message has it missed, or ends the carrier: that it has
// come is not believed.
func TestAMessageWithoutItsRecordHasNotCome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newOver(newDoor(transport.GatewayProfile()))
		for name, body := range map[string][]byte{
			"a Turn alone":           {0, 0, 0, 0, 0, byte(session.Turn), 1},
			"Unknown, and a record":  slices.Concat([]byte{0, 0, 0, 0, 0, byte(session.Unknown)}, make([]byte, 99)),
			"a number, nothing more": {0, 0, 0, 0},
		} {
			if err := c.takeBody(body); err != session.ErrMessage || c.messages.in.next != 0 {
				t.Errorf("%s: got %v, and all before message %d", name, err, c.messages.in.next)
			}
		}
		c.Close()
		c.set.tasks.Wait()
	})
}

// What the session says goes with a record though there are no frames.
func TestAMessageWithoutFramesHasARecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.GatewayProfile())
		c, p := newOver(d)
		agreed := append([]byte{0, byte(session.Agreed)}, make([]byte, 73)...)
		p.set(func() { p.head = agreed })
		c.speak()
		synctest.Wait()
		if got := d.messages(); len(got) != 1 || len(got[0]) != numberLen+len(agreed)+1+wire.RecordOverhead {
			t.Errorf("got %d messages %v, want one with a record of a Pad", len(got), got)
		}
		c.Close()
		c.set.tasks.Wait()
	})
}

// Where the path is slow no bulk goes behind what somebody waits for, but an ack, and news of what has come, which
// nobody does, ride with bulk: they would be paid for else.
func TestAnAckRidesWithBulkOnASlowPath(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		say  func(c *Carrier)
		want []wire.Kind // of the first message, but for a question
	}{
		"an ack": {func(c *Carrier) { a := &acker{}; c.Adopt(&a.slot, a); a.slot.Ready(0) }, []wire.Kind{wire.Ack, wire.Data}},
		"news":   {func(c *Carrier) { c.messages.came(0) }, []wire.Kind{wire.Got, wire.Data}},
		"answer": {func(c *Carrier) { c.count(100, 100); c.elicit(true) }, []wire.Kind{wire.Received}},
		"chat":   {func(c *Carrier) { c.newBulk(2).add(100) }, []wire.Kind{wire.Data}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDoor(transport.GatewayProfile())
				car, _ := newOf(d, false)
				car.path.window = slowPath()
				car.mu.Lock()
				car.queue.running = true // until both wait
				car.mu.Unlock()
				car.newBulk(1).add(50_000)
				c.say(car)
				car.Release()
				time.Sleep(time.Second)
				var got []wire.Kind
				for _, f := range framesOf(t, d.messages()[0][numberLen:len(d.messages()[0])-wire.RecordOverhead]) {
					if f.Kind != wire.Ping {
						got = append(got, f.Kind)
					}
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("got %v in the first message, want %v", got, c.want)
				}
				car.Close()
				car.set.tasks.Wait()
			})
		})
	}
}

// A client that misses a message, and has each question answered, asks three times before it gives the carrier up.
func TestAClientAsksSeldomWhatItMisses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.GatewayProfile())
		c, _ := newOver(d)
		c.messages.came(1)
		var at []time.Duration
		for began := time.Now(); time.Since(began) < maxOverdue; time.Sleep(CheckEvery) {
			before := len(d.messages())
			c.Check(time.Now())
			synctest.Wait()
			if after := d.messages(); len(after) > before {
				at = append(at, time.Since(began))
				c.messages.confirm(uint32(len(after)))
				c.heard()
				c.pong(0)
			}
		}
		if want := []time.Duration{16 * time.Second, 21 * time.Second, 31 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("got questions at %v, want %v", at, want)
		}
		c.Close()
		c.set.tasks.Wait()
	})
}

// Messages of the stream door have no numbers: who says that some came is wrong, and ends no more than the carrier.
func TestNoNumberedMessageCameAtTheStreamDoor(t *testing.T) {
	t.Parallel()
	c, _ := newOf(newDoor(transport.StreamProfile()), false)
	defer c.Close()
	for n, want := range map[uint32]error{0: nil, 1: errGot} {
		if err := c.carrierWide(c.Handler(), wire.Frame{Kind: wire.Got, Num: n}); err != want {
			t.Errorf("Got of %d: got %v, want %v", n, err, want)
		}
	}
}
