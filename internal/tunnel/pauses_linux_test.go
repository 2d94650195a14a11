package tunnel

import (
	"context"
	"testing"
	"time"

	"culvert/internal/wire"
	"culvert/test/tcppair"
)

// A reader's stack grows at each read. When its stream has paused it waits with a small one long before the next
// sweep, and goes on.
func TestAStreamThatPausesIsWaitedForWithASmallStack(t *testing.T) {
	t.Parallel()
	app, stream := tcppair.Open(t)
	table := NewTable(Events{}, NewWindows(1<<20), true)
	defer table.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	table.tasks.Go(func() { table.Sweep(ctx) })
	tun, _ := table.StartTunnel(wire.Service{Kind: wire.Chat}, nil, stream)
	within := func(what string, is func() bool) {
		t.Helper()
		for began := time.Now(); !is(); time.Sleep(time.Millisecond) {
			if time.Since(began) > sweepEvery/2 {
				t.Fatalf("%s after %v", what, sweepEvery/2)
			}
		}
	}
	for said := uint64(0); said < 10; {
		n, err := app.Write([]byte("hello"))
		if said += uint64(n); err != nil {
			t.Fatal(err)
		}
		within("the reader still has a large stack", func() bool { return hasRested(tun, said) })
	}
	app.Write([]byte("the end"))
	app.CloseWrite()
	within("whoever sweeps is still woken for a stream that has ended", func() bool { return hasEnded(tun) && table.pauses.areOver() })
}

// hasEnded reports that the stream has, and the tunnel has not.
func hasEnded(tun *Tunnel) bool {
	tun.mu.Lock()
	defer tun.mu.Unlock()
	return tun.send.state != sendOpen && !tun.isOver()
}

func (p *pauses) areOver() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.said) == 0
}

// hasRested reports that so many bytes were read, and the reader waits with a small stack.
func hasRested(tun *Tunnel, read uint64) bool {
	tun.mu.Lock()
	defer tun.mu.Unlock()
	return tun.send.read == read && !tun.reader.grown.Load() && !tun.reader.listed.Load()
}
