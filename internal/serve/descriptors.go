package serve

import (
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"culvert/internal/netpoll"
)

// files is how often open files were scarce, as every connection is one. A nil one is that of the admin listener, for
// which some are kept.
type files struct {
	scarce atomic.Uint64
	news   chan struct{} // tells tell
	said   time.Time     // when the last line was logged; tell's
	before uint64        // scarce then
}

func newFilesLeft(r prometheus.Registerer) *files {
	f := &files{news: make(chan struct{}, 1)}
	promauto.With(r).NewCounterFunc(prometheus.CounterOpts{Name: "culvert_open_files_scarce_total",
		Help: "Connections that came, or failed, while no more open files were left than are kept for those that there are."},
		func() float64 { return float64(f.scarce.Load()) })
	return f
}

// note counts, and has tell log.
func (f *files) note() {
	f.scarce.Add(1)
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// tell logs a line, one a minute at most.
func (f *files) tell(log *slog.Logger) {
	now := f.scarce.Load()
	if time.Since(f.said) < tellEvery || now == f.before {
		return
	}
	log.Warn("open files are scarce: strangers' connections were closed, and new ones of users may be", "times", now-f.before,
		"limit", netpoll.Limit().Max, "try", "LimitNOFILE=1048576 in the systemd unit, or 'ulimit -n' before the start")
	f.said, f.before = time.Now(), now
}

// spare ends a stranger, perhaps c, which has just come, where open files are scarce: so those that are left stay for
// what is going on. Where there is no stranger, and nearly none is left, c ends, whoever it may be.
func (s *Strangers) spare(c net.Conn) {
	if s.files == nil || !netpoll.Scarce() {
		return
	}
	s.files.note()
	if !s.pool.Shed() && netpoll.Spent() {
		cut(c)
	}
}

// sparing is a listener that ends a stranger when it cannot accept for want of an open file. net/http pauses then
// before it tries again.
type sparing struct {
	net.Listener
	strangers *Strangers
}

// Accept waits for the next connection.
func (l sparing) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil && !errors.Is(err, net.ErrClosed) && l.strangers.files != nil {
		l.strangers.files.note()
		l.strangers.pool.Shed()
	}
	return c, err
}

// fewFiles is a limit that was hardly chosen for a server: a small machine carries more than half as many users.
const fewFiles = 8192

// Passing is how many sockets may be passed on, if n were configured. Each takes two open files. So shares are used up
// before open files are. It logs a limit that is low.
func Passing(n int, log *slog.Logger) int {
	may := netpoll.Limit().Share(n, 1, 2)
	tellFew(may, may < n, log)
	return may
}

// Ending is Passing for an origin's carriers and tunnels, of which each takes one: a user has a tunnel for each
// carrier, and some have more.
func Ending(carriers, tunnels int, log *slog.Logger) (mayCarriers, mayTunnels int) {
	limit := netpoll.Limit()
	mayCarriers, mayTunnels = limit.Share(carriers, 10, 21), limit.Share(tunnels, 11, 21)
	tellFew(min(mayCarriers, mayTunnels), mayCarriers < carriers || mayTunnels < tunnels, log)
	return mayCarriers, mayTunnels
}

func tellFew(users int, cut bool, log *slog.Logger) {
	if limit := netpoll.Limit().Max; cut && limit < fewFiles {
		log.Warn("the limit of open files is low", "limit", limit, "users", users,
			"try", "LimitNOFILE=1048576 in the systemd unit, or 'ulimit -n' before the start")
	}
}
