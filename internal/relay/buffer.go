package relay

import (
	"sync"

	"culvert/internal/wire"
)

// A stream's bytes live in a pooled buffer that holds the largest frame, in one
// of a quarter of that, or in a slice of just the size needed, left to the
// collector. Small ones are what an idle tunnel may keep, so they must not pin
// 64 KiB; and as windows count bytes and not buffers, whoever fills one with
// frames of any size must pin no more than four times as much.
const (
	fullSize  = wire.MaxFrame
	midSize   = 16 << 10
	exactSize = midSize / 4
	smallSize = 2 << 10 // what is read from a stream that says little
)

var (
	full = sync.Pool{New: func() any { return new([fullSize]byte) }}
	mid  = sync.Pool{New: func() any { return new([midSize]byte) }}
)

// streamBuffers lends full buffers to connections that have something to read.
type streamBuffers struct{}

func (streamBuffers) Get() []byte  { return getFull() }
func (streamBuffers) Put(b []byte) { put(b) }

func getFull() []byte { return full.Get().(*[fullSize]byte)[:] }

// put gives b back if it is a pooled buffer. The caller must not use b again.
func put(b []byte) {
	switch cap(b) {
	case fullSize:
		full.Put((*[fullSize]byte)(b[:fullSize]))
	case midSize:
		mid.Put((*[midSize]byte)(b[:midSize]))
	}
}

// getSize returns a buffer of length n: exact if small, else pooled.
func getSize(n int) []byte {
	switch {
	case n <= exactSize:
		return make([]byte, n)
	case n <= midSize:
		return mid.Get().(*[midSize]byte)[:n]
	}
	return getFull()[:n]
}
