package carrier

import (
	"testing"
	"unsafe"
)

// What an idle client costs an origin is its carrier before all else. Go's allocator has room of 768 bytes and then of 896,
// and puts 8 of its own before what has pointers.
func TestACarrierFitsIntoASmallerClass(t *testing.T) {
	t.Parallel()
	if got, want := unsafe.Sizeof(Carrier{}), uintptr(768-8); got > want {
		t.Errorf("got %d bytes for a carrier, want %d at most", got, want)
	}
}
