package session

import (
	"testing"
	"unsafe"
)

// An idle client has an end of its carrier at its origin. Go's allocator has room of 320 bytes and then of 352.
func TestAnOriginsEndFitsIntoASmallerClass(t *testing.T) {
	t.Parallel()
	if got, want := unsafe.Sizeof(OriginCarrier{}), uintptr(320); got > want {
		t.Errorf("got %d bytes for an origin's end of a carrier, want %d at most", got, want)
	}
}
