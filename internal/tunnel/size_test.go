package tunnel

import (
	"testing"
	"unsafe"
)

// An idle client has a tunnel at its origin. Go's allocator has room of 576 bytes and then of 640, and puts 8 of its own before
// what has pointers.
func TestATunnelFitsIntoASmallerClass(t *testing.T) {
	t.Parallel()
	if got, want := unsafe.Sizeof(Tunnel{}), uintptr(576-8); got > want {
		t.Errorf("got %d bytes for a tunnel, want %d at most", got, want)
	}
}
