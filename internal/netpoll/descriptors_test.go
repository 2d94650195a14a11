//go:build unix

package netpoll

import (
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

func TestPairsLeaveTheReserve(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		d       Descriptors
		n, want int
	}{
		{Descriptors{}, 1000, 1000},
		{Descriptors{Max: 1024, Reserve: 64}, 1000, 480},
		{Descriptors{Max: 1024, Reserve: 64}, 100, 100},
		{Descriptors{Max: 2, Reserve: 1}, 100, 1},
	} {
		if got := c.d.Pairs(c.n); got != c.want {
			t.Errorf("%+v: got %d of %d, want %d", c.d, got, c.n, c.want)
		}
	}
}
