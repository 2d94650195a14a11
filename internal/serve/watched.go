package serve

import (
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookAgain is how often at most the files are looked at: often enough for
// whoever replaces one, and nothing beside what it costs to serve.
const lookAgain = 10 * time.Second

// Watched is a value that comes from files and is read again when they change.
// A change that cannot be used is logged, and the old value stays.
type Watched[T any] struct {
	what  string
	files []string
	load  func() (T, error)
	log   *slog.Logger
	now   func() time.Time

	mu      sync.Mutex // guards the following; held while files are read, at most every lookAgain
	value   T
	stamps  []stamp
	checked time.Time
}

// stamp changes when a file does.
type stamp struct {
	changed time.Time
	size    int64
}

// Watch loads the value for the first time and returns load's error. what
// names it in the log.
func Watch[T any](what string, files []string, load func() (T, error), log *slog.Logger) (*Watched[T], error) {
	return watch(what, files, load, log, time.Now)
}

func watch[T any](what string, files []string, load func() (T, error), log *slog.Logger, now func() time.Time) (*Watched[T], error) {
	w := &Watched[T]{what: what, files: files, load: load, log: log, now: now, checked: now()}
	w.stamps = w.look() // before loading: a change in between is seen later
	var err error
	w.value, err = load()
	return w, err
}

// Get returns the value that was current at most lookAgain ago.
func (w *Watched[T]) Get() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := w.now(); now.Sub(w.checked) >= lookAgain {
		w.checked = now
		w.refresh()
	}
	return w.value
}

func (w *Watched[T]) refresh() {
	stamps := w.look()
	if same(stamps, w.stamps) {
		return
	}
	w.stamps = stamps
	value, err := w.load()
	if err != nil {
		w.log.Error("changed file cannot be used: the old one stays", "what", w.what, "err", err)
		return
	}
	w.value = value
	w.log.Info("read again", "what", w.what)
}

func (w *Watched[T]) look() []stamp {
	stamps := make([]stamp, len(w.files))
	for i, name := range w.files {
		if info, err := os.Stat(name); err == nil {
			stamps[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return stamps
}

func same(a, b []stamp) bool {
	for i := range a {
		if a[i].size != b[i].size || !a[i].changed.Equal(b[i].changed) {
			return false
		}
	}
	return true
}
