package transport

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/tasks"
	"culvert/internal/wire"
)

// recorder is what a batch sends to.
type recorder struct {
	mu    sync.Mutex
	began time.Time
	sent  [][]byte
	at    []time.Duration
	takes time.Duration
	err   error
	fails int
}

func (r *recorder) batch(most int) *batch {
	r.began = time.Now()
	b := newBatch(most, r.send, func() { r.mu.Lock(); r.fails++; r.mu.Unlock() })
	b.tasks = tasks.NewGroup()
	b.opened = true
	return b
}

// all is what was sent so far, and when.
func (r *recorder) all() (sent [][]byte, at []time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent, r.at
}

func (r *recorder) failed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fails
}

func (r *recorder) send(number uint32, body []byte) error {
	r.mu.Lock()
	for len(r.sent) <= int(number) {
		r.sent, r.at = append(r.sent, nil), append(r.at, 0)
	}
	r.sent[number], r.at[number] = bytes.Clone(body[wire.NumbersLen:]), time.Since(r.began)
	r.mu.Unlock()
	time.Sleep(r.takes) // a bubble's, in no time
	return r.err
}

// dataOfSize is a Data frame of so many bytes in all, told apart by seq.
func dataOfSize(size int, seq uint64) []byte {
	b := make([]byte, size)
	wire.Put(b, wire.Header{Kind: wire.Data, Len: size - wire.HeaderLen, Tunnel: 1, Seq: seq})
	return b
}

func ackFrame() []byte {
	b := make([]byte, wire.HeaderLen)
	wire.Put(b, wire.Header{Kind: wire.Ack, Tunnel: 1})
	return b
}

// What waits, and for how long: a message is paid for, and chat is not held.
func TestFramesWaitForOthersOnlyWhereThatPays(t *testing.T) {
	t.Parallel()
	small, full := dataOfSize(100, 0), dataOfSize(wire.TextFrame, 1)
	part := dataOfSize(wire.TextFrame/2, 2)
	for name, c := range map[string]struct {
		writes [][]byte
		heard  bool // the peer answers the first at once
		want   []time.Duration
	}{
		"a chat message":               {[][]byte{small}, false, []time.Duration{0}},
		"another right after it":       {[][]byte{small, small}, false, []time.Duration{0, pace}},
		"another after the answer":     {[][]byte{small, small}, true, []time.Duration{0, 0}},
		"half a message of bulk":       {[][]byte{full}, false, []time.Duration{fillWait}},
		"a full message of bulk":       {[][]byte{full, full}, false, []time.Duration{0}},
		"the end of bulk":              {[][]byte{part}, false, []time.Duration{pace}},
		"bulk and its end":             {[][]byte{full, part}, false, []time.Duration{pace}},
		"an ack":                       {[][]byte{ackFrame()}, false, []time.Duration{fillWait}},
		"an ack that meets chat":       {[][]byte{ackFrame(), small}, false, []time.Duration{0}},
		"half of bulk that meets chat": {[][]byte{full, small}, false, []time.Duration{0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := new(recorder)
				b := r.batch(1)
				for i, w := range c.writes {
					if err := b.Write(w); err != nil {
						t.Fatal(err)
					}
					if synctest.Wait(); i == 0 && c.heard {
						b.heard(1)
					}
				}
				time.Sleep(time.Second)
				sent, at := r.all()
				if got := bytes.Join(sent, nil); !bytes.Equal(got, bytes.Join(c.writes, nil)) {
					t.Errorf("got %d bytes sent, want all %d in order", len(got), len(bytes.Join(c.writes, nil)))
				}
				if !slices.Equal(at, c.want) {
					t.Errorf("got messages at %v, want %v", at, c.want)
				}
				b.close(errors.New("over"))
			})
		})
	}
}

// A batch holds one message; who brings more waits until that can go.
func TestABatchHoldsOneMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{takes: time.Second}
		b := r.batch(2)
		for i := range uint64(10) {
			if err := b.Write(dataOfSize(wire.TextFrame, i)); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(r.began); took != time.Second {
			t.Errorf("got ten halves taken after %v, want the third message to wait for the first", took)
		}
		time.Sleep(5 * time.Second)
		if sent, _ := r.all(); len(sent) != 5 {
			t.Errorf("got %d messages, want 5 full ones", len(sent))
		}
	})
}

func TestABatchThatFailsTellsWhoWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("gone")
		r := &recorder{takes: time.Second, err: cause}
		b := r.batch(1)
		for range 4 {
			b.Write(dataOfSize(wire.TextFrame, 0))
		}
		if err := b.Write(dataOfSize(wire.TextFrame, 0)); err != cause {
			t.Errorf("got %v from who waited, want %v", err, cause)
		}
		if err := b.Write(ackFrame()); err != cause || r.failed() != 1 {
			t.Errorf("got %v and %d failures told, want %v and one", err, r.failed(), cause)
		}
		time.Sleep(time.Minute)
		if sent, _ := r.all(); len(sent) != 1 {
			t.Errorf("got %d messages, want none after the one that failed", len(sent))
		}
	})
}

// Until the client has a ticket there is only its hello.
func TestNothingFollowsAHelloBeforeTheTicket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := new(recorder)
		b := r.batch(1)
		b.opened = false
		for i := range uint64(3) {
			b.Write(dataOfSize(100, i))
			time.Sleep(time.Second)
		}
		if sent, _ := r.all(); len(sent) != 1 {
			t.Errorf("got %d messages before the ticket, want the hello", len(sent))
		}
		b.open()
		synctest.Wait()
		if sent, _ := r.all(); len(sent) != 2 || len(sent[1]) != 200 {
			t.Errorf("got %d messages, want one more with the two frames that waited", len(sent))
		}
	})
}

func TestMessagesInAnyOrderAreNewOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d deduplicator
		for _, c := range []struct {
			n       uint32
			isNew   bool
			upTo    uint32
			missing bool
		}{
			{0, true, 1, false}, {0, false, 1, false}, {3, true, 1, true}, {3, false, 1, true}, {2, true, 1, true},
			{1, true, 4, false}, {2, false, 4, false}, {4, true, 5, false},
		} {
			isNew, err := d.note(c.n)
			time.Sleep(time.Second)
			if missing := d.missing(time.Now()) > 0; err != nil || isNew != c.isNew || d.upTo() != c.upTo || missing != c.missing {
				t.Errorf("%d: got new %v, up to %d, missing %v, %v, want %v", c.n, isNew, d.upTo(), missing, err, c)
			}
		}
		if _, err := d.note(5 + maxAhead + 1); err != errAhead {
			t.Errorf("got %v, want errAhead for one too far ahead", err)
		}
	})
}

func TestAClientMissesAMessageOfTheOrigin(t *testing.T) {
	t.Parallel()
	const late = 41 * time.Second
	s := new(textSocket)
	s.in.note(0)
	s.in.note(2)
	if got := s.Overdue(time.Now().Add(late)); got < late-time.Second {
		t.Errorf("message 1 is missing for 41 s: got %v, want that", got)
	}
	s.in.note(1)
	if got := s.Overdue(time.Now().Add(late)); got != 0 {
		t.Errorf("all have come: got %v, want none overdue", got)
	}
}
