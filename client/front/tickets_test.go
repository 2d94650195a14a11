package front

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/link"
)

// resumer is a server of Go's that remembers which tickets came.
type resumer struct {
	cfg *tls.Config

	mu      sync.Mutex     // guards the following
	came    map[string]int // tickets
	resumed int
}

func newResumer() *resumer {
	r := &resumer{cfg: &tls.Config{Certificates: []tls.Certificate{worldCertificate()}}, came: make(map[string]int)}
	r.cfg.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(ticket) > 0 { // by TLS 1.2, an empty one asks for one
			r.came[string(ticket)]++
		}
		return r.cfg.DecryptTicket(ticket, state)
	}
	return r
}

func (r *resumer) connect(context.Context, string, string) (net.Conn, error) {
	near, far := pipe()
	go func() {
		c := tls.Server(far, r.cfg)
		defer c.Close()
		time.Sleep(time.Millisecond) // of synctest's clock: those that come at once have sent their tickets by then
		if c.Handshake() != nil {
			return
		}
		if c.ConnectionState().DidResume {
			r.mu.Lock()
			r.resumed++
			r.mu.Unlock()
		}
		io.WriteString(c, "hi")
	}()
	return near, nil
}

// openAtOnce opens f so many times at once, and reports how many were resumed.
func (r *resumer) openAtOnce(t *testing.T, d *Dialer, f link.Front, times int) (resumed int) {
	t.Helper()
	before := r.resumed
	var all sync.WaitGroup
	for range times {
		all.Go(func() {
			if err := open(t, d, f); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	return r.resumed - before
}

func TestASessionIsResumedByATicketThatIsUsedOnce(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		synctest.Test(t, func(t *testing.T) {
			r := newResumer()
			r.cfg.MaxVersion = version
			d, f := &Dialer{Connect: r.connect}, pinnedTo("192.0.2.1")
			for i, step := range []struct{ times, resumed int }{{1, 0}, {1, 1}, {1, 1}, {10, 1}, {10, 8}, {1, 1}} {
				if got := r.openAtOnce(t, d, f, step.times); got != step.resumed {
					t.Errorf("%s, step %d: got %d of %d resumed, want %d", tls.VersionName(version), i+1, got, step.times, step.resumed)
				}
			}
			for _, times := range r.came {
				if times > 1 {
					t.Errorf("%s: got a ticket %d times, want each once", tls.VersionName(version), times)
				}
			}
		})
	}
}

// A Go server says that its tickets last for a week (RFC 8446, section 4.6.1, allows no more).
func TestATicketOlderThanItsServerAllowsIsNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, lasting := issuer{}.issue(t, x509.Certificate{NotBefore: time.Now(), NotAfter: time.Now().Add(30 * 24 * time.Hour)})
		r := newResumer()
		r.cfg.Certificates = []tls.Certificate{lasting}
		d, f := &Dialer{Connect: r.connect}, link.Front{Host: "192.0.2.1", Pins: []link.Pin{link.PinOf(lasting.Leaf)}}
		for i, step := range []struct {
			pause time.Duration
			came  int
		}{{0, 0}, {6 * 24 * time.Hour, 1}, {8 * 24 * time.Hour, 1}} {
			time.Sleep(step.pause) // of synctest's clock
			r.openAtOnce(t, d, f, 1)
			if got := len(r.came); got != step.came {
				t.Errorf("step %d: got %d tickets sent, want %d", i+1, got, step.came)
			}
		}
	})
}

func TestFrontsDoNotShareTickets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newResumer()
		d := &Dialer{Connect: r.connect}
		r.openAtOnce(t, d, pinnedTo("192.0.2.1"), 1)
		r.openAtOnce(t, d, pinnedTo("192.0.2.2"), 1)
		if len(r.came) > 0 {
			t.Errorf("got %d tickets of another front, want none", len(r.came))
		}
	})
}
