package transport

import (
	"sync"
	"time"

	"culvert/internal/tasks"
	"culvert/internal/wire"
)

// How long frames wait for others to share a message with. A message costs the
// same up to 32 KB, and four times that at most; a full frame is half of one.
const (
	pace     = 5 * time.Millisecond  // between messages of small frames, while the peer has not said that it has the last
	fillWait = 25 * time.Millisecond // for the other half, or for what acks can ride on
)

// batch gathers frames into messages. What is small goes out at once, unless
// something did just before that the peer has not answered; a frame that is as large
// as can be is followed by another as a rule. Its methods may be called by many
// goroutines.
type batch struct {
	send  func(number uint32, body []byte) error // body begins with room for wire.Numbers; send gives it back
	most  int                                    // sends at once
	fail  func()                                 // called when a send has failed
	tasks *tasks.Group                           // runs sends; set before the first Write

	mu      sync.Mutex // guards the following; never held across I/O
	room    sync.Cond
	body    []byte
	due     time.Time   // when body is to go; zero: it is empty
	timer   tasks.Timer // flushes when body is due
	last    time.Time   // when a message went
	number  uint32      // of the next
	got     uint32      // the peer has all before this
	paced   bool        // body waits for pace, or for the peer
	sending int
	opened  bool // more than the first message may go
	err     error
}

func newBatch(most int, send func(uint32, []byte) error, fail func()) *batch {
	b := &batch{send: send, most: most, fail: fail}
	b.room.L = &b.mu
	return b
}

// Write takes whole frames. It waits while the message before is full and
// cannot go.
func (b *batch) Write(frames []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.err == nil && !b.fits(len(frames)) {
		if b.schedule(0); !b.fits(len(frames)) {
			b.room.Wait()
		}
	}
	if b.err != nil {
		return b.err
	}
	b.add(frames)
	b.schedule(b.patience(frames))
	return nil
}

func (b *batch) fits(n int) bool {
	return len(b.body)+n <= wire.NumbersLen+wire.MaxTextFrames
}

// add moves the body to a larger buffer when it has to.
func (b *batch) add(frames []byte) {
	if need := max(len(b.body), wire.NumbersLen) + len(frames); need > cap(b.body) {
		larger := getBody(need)[:max(len(b.body), wire.NumbersLen)]
		copy(larger, b.body)
		putBody(b.body)
		b.body = larger
	}
	b.body = append(b.body, frames...)
}

// heard is told that the peer has all messages before got.
func (b *batch) heard(got uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = max(b.got, got)
	if b.paced && b.got >= b.number {
		b.schedule(0)
	}
}

// patience is how long frames, which were just added, may wait.
func (b *batch) patience(frames []byte) time.Duration {
	switch {
	case len(frames) >= wire.TextFrame && !b.fits(wire.TextFrame):
		return 0
	case len(frames) >= wire.TextFrame || onlyControl(frames):
		return fillWait
	case len(frames) > SmallFrame: // perhaps the stream's end follows
		return pace
	}
	if b.got >= b.number {
		return 0
	}
	b.paced = true
	return pace - time.Since(b.last)
}

// onlyControl reports that no frame has a payload.
func onlyControl(frames []byte) bool {
	for len(frames) >= wire.HeaderLen {
		h, err := wire.Parse(frames)
		if err != nil || h.Len > 0 || h.Kind == wire.Ping {
			return false
		}
		frames = frames[wire.HeaderLen:]
	}
	return true
}

// schedule has the batch sent after wait, or before if that was planned.
func (b *batch) schedule(wait time.Duration) {
	due := time.Now().Add(wait)
	if b.due.IsZero() || due.Before(b.due) {
		b.due = due
	}
	b.flush()
}

// flush sends the batch if it is due and may go, or sees to it that this is
// asked again.
func (b *batch) flush() {
	if b.due.IsZero() || b.err != nil || b.sending == b.most || b.number > 0 && !b.opened {
		return
	}
	if wait := time.Until(b.due); wait > 0 {
		b.wakeIn(wait)
		return
	}
	body, number := b.body, b.number
	b.body, b.due, b.last, b.paced = nil, time.Time{}, time.Now(), false
	b.number++
	b.sending++
	b.room.Broadcast()
	b.tasks.Go(func() { b.sendOne(number, body) })
}

func (b *batch) wakeIn(wait time.Duration) {
	if !b.timer.IsZero() {
		b.timer.Reset(wait)
		return
	}
	b.timer = b.tasks.AfterFunc(wait, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.flush()
	})
}

func (b *batch) sendOne(number uint32, body []byte) {
	err := b.send(number, body)
	b.mu.Lock()
	b.sending--
	if err == nil {
		b.flush()
	}
	failed := err != nil && b.err == nil
	b.mu.Unlock()
	if failed {
		b.close(err)
		b.fail()
	}
}

// open lets messages follow the first.
func (b *batch) open() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.opened {
		b.opened = true
		b.flush()
	}
}

// close ends waiting writes with err.
func (b *batch) close(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return
	}
	b.err = err
	b.timer.Stop()
	b.room.Broadcast()
}
