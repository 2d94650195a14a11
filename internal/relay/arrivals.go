package relay

import (
	"errors"
	"sync"
	"time"
)

// arrivals notes which text messages have come, in any order and any number of
// times. The zero value is ready.
type arrivals struct {
	mu    sync.Mutex
	got   uint32              // all before this have come
	ahead map[uint32]struct{} // these have, too
	gap   time.Time           // since when one is missing, if ahead holds any
}

// maxAhead bounds the messages that overtake a missing one.
const maxAhead = 4096

// errAhead means that messages are missing for good, or made up.
var errAhead = errors.New("too many messages overtook one")

// note says whether message n is new.
func (a *arrivals) note(n uint32) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, twice := a.ahead[n]; twice || n < a.got {
		return false, nil
	}
	if n-a.got > maxAhead {
		return false, errAhead
	}
	if n == a.got {
		a.advance()
		return true, nil
	}
	if len(a.ahead) == 0 {
		a.ahead = map[uint32]struct{}{}
		a.gap = time.Now()
	}
	a.ahead[n] = struct{}{}
	return true, nil
}

func (a *arrivals) advance() {
	a.got++
	for {
		if _, ok := a.ahead[a.got]; !ok {
			break
		}
		delete(a.ahead, a.got)
		a.got++
	}
	if len(a.ahead) == 0 {
		a.ahead = nil
	}
	a.gap = time.Now()
}

func (a *arrivals) upTo() uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.got
}

// missing is for how long a message has been, 0 if none is.
func (a *arrivals) missing(now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.ahead) == 0 {
		return 0
	}
	return max(now.Sub(a.gap), 1)
}
