package origin

import (
	"testing"

	"culvert/internal/wire"
)

// What is read at once shrinks with the machine, but never to nothing.
func TestBodiesFitIntoTheirPartOfTheMemory(t *testing.T) {
	t.Parallel()
	for _, windows := range []int64{68 << 20, 273 << 20, 512 << 20} {
		c := Config{Windows: windows}
		part := windows / readingPart
		if got := int64(c.readings()) * wire.MaxHanded; got > part || got < part*9/10 {
			t.Errorf("%d MiB: got %d bytes of bodies, want no more than %d, and not far from it", windows>>20, got, part)
		}
	}
	if got := (&Config{Windows: 1}).readings(); got != leastReading {
		t.Errorf("got %d bodies at once, want %d at least", got, leastReading)
	}
}
