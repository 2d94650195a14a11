package transport

import (
	"sync"

	"culvert/internal/wire"
)

// A stream's bytes live in a pooled buffer that holds the largest record, in one
// of a quarter of that, or in a slice of just the size needed, left to the
// collector. Small buffers are what an idle tunnel may keep, so they must not pin
// 64 KiB; and as windows count bytes and not buffers, whoever fills a window with
// pieces of any size must pin no more than four times as much.
const (
	FullSize  = wire.MaxRecord
	MidSize   = 16 << 10
	exactSize = MidSize / 4
)

var (
	full = sync.Pool{New: func() any { return new([FullSize]byte) }}
	mid  = sync.Pool{New: func() any { return new([MidSize]byte) }}
)

// GetFull returns a buffer of FullSize.
func GetFull() []byte { return full.Get().(*[FullSize]byte)[:] }

// GetBuffer returns a buffer of length n, at most FullSize: an exact one if n is
// small, else a pooled one.
func GetBuffer(n int) []byte {
	switch {
	case n <= exactSize:
		return make([]byte, n)
	case n <= MidSize:
		return mid.Get().(*[MidSize]byte)[:n]
	}
	return GetFull()[:n]
}

// PutBuffer gives b back if it is a pooled buffer. The caller must not use it
// again.
func PutBuffer(b []byte) {
	switch cap(b) {
	case FullSize:
		full.Put((*[FullSize]byte)(b[:FullSize]))
	case MidSize:
		mid.Put((*[MidSize]byte)(b[:MidSize]))
	}
}

// Bodies and texts of messages at the gateway door live in a pooled buffer that
// holds the largest, or in one for chat, left to the collector: many may wait for
// a gateway that is slow.
const (
	maxBody   = wire.MaxText + 1 // one more than any message has
	smallBody = 4 << 10
)

var bodies = sync.Pool{New: func() any { return new([maxBody]byte) }}

// GetBody returns an empty buffer for at least n bytes, at most maxBody.
func GetBody(n int) []byte {
	if n <= smallBody {
		return make([]byte, 0, smallBody)
	}
	return bodies.Get().(*[maxBody]byte)[:0]
}

// PutBody gives b back. The caller must not use it again.
func PutBody(b []byte) {
	if cap(b) == maxBody {
		bodies.Put((*[maxBody]byte)(b[:maxBody]))
	}
}
