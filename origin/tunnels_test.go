package origin

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/seal"
)

// A dial that takes a second to notice that it is not wanted any more is waited for.
func TestCloseWaitsForWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newTestOrigin(t, seal.NewMaster())
		var ended atomic.Bool
		o.tasks.Go(func() {
			<-o.ctx.Done()
			time.Sleep(time.Second)
			ended.Store(true)
		})
		if o.Close(); !ended.Load() {
			t.Error("got a Close that did not wait")
		}
		if o.tasks.Go(func() { t.Error("got work begun after Close") }); o.Close() != nil {
			t.Error("got an error of a second Close")
		}
	})
}
