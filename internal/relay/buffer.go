package relay

import (
	"sync"

	"culvert/internal/wire"
)

// A stream's bytes live in one of two sizes: a pooled buffer that holds the
// largest frame, or a slice of just the size needed, left to the collector.
// Small ones are what an idle tunnel may keep, so they must not pin 64 KiB.
const (
	fullSize  = wire.MaxFrame
	smallSize = 2 << 10
)

var full = sync.Pool{New: func() any { return new([fullSize]byte) }}

func getFull() []byte { return full.Get().(*[fullSize]byte)[:] }

// put gives b back if it is a full buffer. The caller must not use b again.
func put(b []byte) {
	if cap(b) == fullSize {
		full.Put((*[fullSize]byte)(b[:fullSize]))
	}
}

// getSize returns a buffer of length n: exact if small, else pooled.
func getSize(n int) []byte {
	if n <= smallSize {
		return make([]byte, n)
	}
	return getFull()[:n]
}
