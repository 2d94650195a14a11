package carrier

import (
	"testing"
	"unsafe"
)

// What an idle client costs an origin is its carrier before all else. Go's allocator has room of 896 bytes and then of 1024,
// and puts 8 of its own before what has pointers.
func TestACarrierFitsIntoASmallerClass(t *testing.T) {
	t.Parallel()
	if got, want := unsafe.Sizeof(Carrier{}), uintptr(896-8); got > want {
		t.Errorf("got %d bytes for a carrier, want %d at most", got, want)
	}
}
