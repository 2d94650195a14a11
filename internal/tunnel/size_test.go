package tunnel

import (
	"testing"
	"unsafe"
)

// An idle client has a session with a tunnel at its origin. Go's allocator has room of 512 bytes and then of 576, and of 256
// and then of 288.
func TestATunnelFitsIntoASmallerClass(t *testing.T) {
	t.Parallel()
	if got, want := unsafe.Sizeof(Tunnel{}), uintptr(512); got > want {
		t.Errorf("got %d bytes for a tunnel, want %d at most", got, want)
	}
	if got, want := unsafe.Sizeof(Session{}), uintptr(256); got > want {
		t.Errorf("got %d bytes for a session, want %d at most", got, want)
	}
}
