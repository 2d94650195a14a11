package origin

import "sync"

// Texts that wait for API Gateway: of all connections, and of one user's, who
// may have many that take nothing. Beyond either carriers end, rather than the
// process or other users' carriers.
const (
	maxWaiting     = 128 << 20
	maxUserWaiting = maxWaiting / 8
)

// waiting counts them, in bytes.
type waiting struct {
	mu  sync.Mutex
	all int64
	by  map[uint32]int64
}

// add counts n more, or less; false if that is too many, which count until they
// are taken off as well.
func (w *waiting) add(user uint32, n int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = map[uint32]int64{}
	}
	w.all += n
	if w.by[user] += n; w.by[user] == 0 {
		delete(w.by, user)
	}
	return w.all <= maxWaiting && w.by[user] <= maxUserWaiting
}
