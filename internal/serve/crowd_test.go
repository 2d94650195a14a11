package serve

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestTheCollectorRunsMoreRarelyWhileManyWait(t *testing.T) {
	t.Parallel()
	for _, atRest := range []int{40, 300} {
		synctest.Test(t, func(t *testing.T) {
			percent := atRest
			c := &crowd{percent: func(p int) (was int) { was, percent = percent, p; return was }}
			expect := func(when string, want int) {
				t.Helper()
				synctest.Wait()
				c.mu.Lock()
				defer c.mu.Unlock()
				if percent != want {
					t.Errorf("%s, and %d at rest: got %d %%, want %d", when, atRest, percent, want)
				}
			}
			for range manyWait {
				c.enter()
			}
			expect("few wait", atRest)
			for range 3 {
				c.enter()
				expect("many wait", max(atRest, crowded))
				time.Sleep(calmAfter - time.Millisecond) // of synctest's clock
				expect("many waited a moment ago", max(atRest, crowded))
			}
			for range manyWait {
				c.leave()
			}
			time.Sleep(2 * time.Millisecond)
			expect("few have waited for a while", atRest)
			c.enter()
			time.Sleep(calmAfter)
			expect("few wait again", atRest)
		})
	}
}
