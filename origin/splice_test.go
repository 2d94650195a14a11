package origin

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/tasks"
)

// lingering is a connection whose first Close takes a second, as that of TLS may
// while it says goodbye.
type lingering struct {
	net.Conn
	begun, done atomic.Bool
}

func (c *lingering) Close() error {
	err := c.Conn.Close()
	if !c.begun.Swap(true) {
		time.Sleep(time.Second)
		c.done.Store(true)
	}
	return err
}

// Whoever waits for a splice's goroutines waits for the one that closes its
// connections as well.
func TestASpliceIsOverWhenItsConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		group, ended := tasks.NewGroup(), make(chan struct{})
		a, client := net.Pipe()
		b, owner := net.Pipe()
		defer client.Close()
		defer owner.Close()
		near := &lingering{Conn: a}
		s := &splice{near: near, far: b, ended: func() { close(ended) }}
		s.start(ctx, group, nil, nil)
		synctest.Wait()
		stop()
		group.Wait()
		<-ended
		if !near.done.Load() {
			t.Error("nothing is left to wait for, but a connection is still being closed")
		}
	})
}
