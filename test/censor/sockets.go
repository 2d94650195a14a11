//go:build linux

package main

import (
	"os"
	"strings"
	"sync"
	"time"
)

// sockets counts the connections that the client holds at once. The path does not
// see when one that is frozen is closed: its FIN waits behind data that nobody
// acknowledges.
type sockets struct {
	most int // to be read once done is closed, as is the next
	seen int // the most that either of two looks showed
	stop chan struct{}
	once sync.Once // closes stop
	done chan struct{}
}

// watchSockets counts ten times a second until mostSockets.
func (w *world) watchSockets() *sockets {
	s := &sockets{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		w.path.Client.Do(func() error { s.watch(); return nil })
	}()
	return s
}

func (s *sockets) watch() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			both, either := connected()
			s.most, s.seen = max(s.most, both), max(s.seen, either)
		}
	}
}

// connected is how many connections of this thread's namespace were open at once between two looks, as both show
// them: others come and go while one look goes through all. How many either showed may be too many.
func connected() (both, either int) {
	before := openSockets()
	either = len(before)
	for address := range openSockets() {
		if before[address] {
			both++
		} else {
			either++
		}
	}
	return both, either
}

// openSockets has the addresses of connections of this thread's namespace that lead to port 443
// and are open, or being opened: states 1 and 2 of proc_net_tcp(5).
func openSockets() map[string]bool {
	b, _ := os.ReadFile("/proc/thread-self/net/tcp")
	seen := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) > 3 && strings.HasSuffix(f[2], ":01BB") && (f[3] == "01" || f[3] == "02") {
			seen[f[1]] = true
		}
	}
	return seen
}
