//go:build unix

package netpoll

import (
	"math"
	"os"
	"testing"
)

// Whatever is opened takes from what is left. Others may open and close files meanwhile, a few.
func TestLeftCountsOpenFiles(t *testing.T) {
	const n, others = 200, 50
	before := Left()
	for range n {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	if got := before - Left(); got < n-others || got > n+others {
		t.Errorf("got %d fewer left, want about %d", got, n)
	}
	if Scarce() || Spent() {
		t.Errorf("got scarce with %d of %d left", Left(), Limit().Max)
	}
}

func TestSharesLeaveTheReserve(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		d                    Descriptors
		n, part, parts, want int
	}{
		{Descriptors{}, 1000, 1, 2, 1000},
		{Descriptors{Max: 1024, Reserve: 64}, 1000, 1, 2, 480},
		{Descriptors{Max: 1024, Reserve: 64}, 1000, 2, 3, 640},
		{Descriptors{Max: 1024, Reserve: 64}, 100, 1, 2, 100},
		{Descriptors{Max: 2, Reserve: 1}, 100, 1, 2, 1},
		{Descriptors{Max: math.MaxInt32, Reserve: 1024}, 100_000, 11, 21, 100_000}, // more than 32 bits on the way
	} {
		if got := c.d.Share(c.n, c.part, c.parts); got != c.want {
			t.Errorf("%+v: got %d of %d, want %d", c, got, c.n, c.want)
		}
	}
}
