package session

// WindowSize is how far behind the highest number others are told from repeats.
const WindowSize = 1024

// Window remembers which numbers have come. One that is WindowSize or more below
// the highest counts as come. The zero Window has none.
type Window struct {
	next uint64 // one more than the highest that has come
	bits [WindowSize / 64]uint64
}

// Fresh reports whether n has not come, as far as is known.
func (w *Window) Fresh(n uint64) bool {
	if n >= w.next {
		return true
	}
	return w.next-n <= WindowSize && *w.word(n)&place64(n) == 0
}

// Take notes that n has come; false if it had.
func (w *Window) Take(n uint64) bool {
	if !w.Fresh(n) {
		return false
	}
	if n >= w.next {
		w.forget(n)
		w.next = n + 1
	}
	*w.word(n) |= place64(n)
	return true
}

// forget clears the places that the numbers from next to n share with older ones.
func (w *Window) forget(n uint64) {
	if n-w.next >= WindowSize {
		clear(w.bits[:])
		return
	}
	for i := w.next; i <= n; i++ {
		*w.word(i) &^= place64(i)
	}
}

func (w *Window) word(n uint64) *uint64 { return &w.bits[n/64%uint64(len(w.bits))] }

func place64(n uint64) uint64 { return 1 << (n % 64) }
