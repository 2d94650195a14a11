package seal

import (
	"encoding/binary"
	"sync"
	"time"
)

// maxSeen bounds the first messages that are remembered: about 5 MB. It covers
// the whole window at 1,000 tunnels a second. At 5,000 the memory reaches back
// 52 seconds, and clients whose clocks are later than that correct them.
const maxSeen = 1 << 18

const (
	windowSeconds = int64(ClockWindow / time.Second)
	slotSeconds   = 8
	slotCount     = 2*windowSeconds/slotSeconds + 2 // the window may begin and end inside a slot
)

// seen remembers the first messages of the window by the time that they bear,
// in slots, so that what is forgotten is always the oldest and the rest of the
// window stays open. What it has forgotten it also refuses by time: no message
// is accepted twice, however full it is. One 64-bit word of the ephemeral key,
// or of a resumed one's nonce, stands for the message; that two honest ones
// share it is as likely as guessing 46 bits, and would cost one connection.
type seen struct {
	mu     sync.Mutex
	limit  int
	count  int
	oldest int64 // Unix seconds; a message with an earlier time is refused
	slots  [slotCount]map[uint64]struct{}
}

func (s *seen) init(start int64, limit int) { s.oldest, s.limit = max(start, 0), limit }

// admit remembers a genuine message with this ephemeral key or nonce, made at
// the time at. It fails with ErrClock or ErrReplay.
func (s *seen) admit(unique []byte, at, now int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.follow(now)
	if at < s.oldest || at > now+windowSeconds {
		return ErrClock
	}
	slot := &s.slots[at/slotSeconds%slotCount]
	id := binary.BigEndian.Uint64(unique)
	if _, again := (*slot)[id]; again {
		return ErrReplay
	}
	for s.count >= s.limit {
		if s.oldest >= now-slotSeconds { // full of the future: refuse this one, not all the others
			return ErrClock
		}
		s.forget((s.oldest/slotSeconds + 1) * slotSeconds)
	}
	if at < s.oldest {
		return ErrClock
	}
	if *slot == nil {
		*slot = make(map[uint64]struct{})
	}
	(*slot)[id] = struct{}{}
	s.count++
	return nil
}

// follow moves the window to now. If the origin's own clock was set back so far
// that nobody could be admitted, it begins as after a start.
func (s *seen) follow(now int64) {
	s.forget(now - windowSeconds)
	if s.oldest > now+2*windowSeconds {
		s.slots, s.count, s.oldest = [slotCount]map[uint64]struct{}{}, 0, max(now, 0)
	}
}

// forget drops the messages with times before oldest and refuses them from now on.
func (s *seen) forget(oldest int64) {
	if oldest <= s.oldest {
		return
	}
	first, end := s.oldest/slotSeconds, oldest/slotSeconds
	for i := first; i < min(end, first+slotCount); i++ {
		s.count -= len(s.slots[i%slotCount])
		s.slots[i%slotCount] = nil
	}
	s.oldest = oldest
}
