package transport

import (
	"testing"
	"unsafe"
)

// An idle client has a socket at its origin. Go's allocator has room of 80 bytes and then of 96.
func TestASocketFitsIntoASmallerClass(t *testing.T) {
	t.Parallel()
	if got, want := unsafe.Sizeof(binarySocket{}), uintptr(80); got > want {
		t.Errorf("got %d bytes for a socket, want %d at most", got, want)
	}
}
