package doctor_test

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/client/doctor"
	"culvert/client/front"
	"culvert/test/local/localtest"
)

// rule is what a network does to a connection beneath TLS. Zero fields do nothing.
type rule struct {
	freeze int           // bytes that come before it is silent
	cut    int           // bytes that come before it is reset, if freeze is none
	rest   time.Duration // for which it may rest
}

// ruled is a connection that a rule is applied to.
type ruled struct {
	net.Conn
	rule   rule
	closed chan struct{}
	once   sync.Once
	rests  *time.Timer // nil: it may rest for ever

	came int
}

func (r rule) over(c net.Conn) net.Conn {
	own := &ruled{Conn: c, rule: r, closed: make(chan struct{})}
	if r.rest > 0 {
		own.rests = time.AfterFunc(r.rest, func() { own.Close() })
	}
	return own
}

func (c *ruled) Read(b []byte) (int, error) {
	if most := c.rule.freeze + c.rule.cut; most > 0 {
		b = b[:min(len(b), most-c.came)]
	}
	switch {
	case len(b) > 0:
	case c.rule.cut > 0:
		return 0, errors.New("reset")
	default:
		<-c.closed
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Read(b)
	if c.came += n; c.rests != nil && err == nil {
		c.rests.Reset(c.rule.rest)
	}
	return n, err
}

func (c *ruled) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// at is the check of a hop of the only front.
func at(r *doctor.Report, hop doctor.Hop) (found doctor.Check) {
	for _, c := range r.Checks {
		if c.Hop == hop {
			found = c
		}
	}
	return found
}

func TestAPathSaysWhatItDoesToAConnection(t *testing.T) {
	t.Parallel()
	relay := localtest.Open(t)
	for name, c := range map[string]struct {
		rule rule
		rest time.Duration
		want func(doctor.Check) bool
	}{
		"free": {rule{}, 0, func(c doctor.Check) bool { return c.Cause == "" && c.Status == doctor.Passed }},
		"frozen": {rule{freeze: 15_000}, 0, func(c doctor.Check) bool {
			return c.Cause == doctor.Frozen && c.Status == doctor.Failed && c.Bytes > 10_000 && c.Bytes < 21_000
		}},
		"cut": {rule{cut: 15_000}, 0, func(c doctor.Check) bool { return c.Cause == doctor.CutAfterBytes && c.Bytes > 10_000 }},
		"cut when it rests": {rule{rest: time.Second}, 2 * time.Second, func(c doctor.Check) bool {
			return c.Cause == doctor.IdleCut && c.Status == doctor.Passed && c.Seconds == 1
		}},
		"not cut when it rests": {rule{}, time.Second, func(c doctor.Check) bool { return c.Cause == "" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := doctor.Options{Dialer: &front.Dialer{Wrap: c.rule.over}, Rest: c.rest}
			r := doctor.Examine(t.Context(), relay.Link, o, relay.Trust, doctor.Silent{})
			got := at(r, doctor.Path)
			if !c.want(got) || got.Status == doctor.Failed && (got.Problem == "" || got.Try == "") {
				t.Errorf("got %+v", got)
			}
			if r.Judge(false) != nil {
				t.Errorf("got %+v, want chat and media to work: a path that does little harm hides nothing", r.Checks)
			}
		})
	}
}

// limited lets so many connections through and is silent then.
type limited struct {
	left   atomic.Int32
	dialed atomic.Int32
}

func (l *limited) over(c net.Conn) net.Conn {
	l.dialed.Add(1)
	if l.left.Add(-1) < 0 {
		return &watched{Conn: c, closed: make(chan struct{})} // any hello has an empty text
	}
	return c
}

func TestConnectionsAreCountedAndFew(t *testing.T) {
	t.Parallel()
	relay := localtest.Open(t)
	for allowed, want := range map[int32]doctor.Cause{4: doctor.Connections, 100: ""} {
		l := &limited{}
		l.left.Store(allowed)
		r := doctor.Examine(t.Context(), relay.Link, doctor.Options{Dialer: &front.Dialer{Wrap: l.over}}, relay.Trust, doctor.Silent{})
		got := at(r, doctor.Network)
		if got.Cause != want || want != "" && got.Connections != int(allowed) {
			t.Errorf("%d allowed: got %+v, want %q", allowed, got, want)
		}
		if n := l.dialed.Load(); n > 6 {
			t.Errorf("%d allowed: got %d connections, want at most 6", allowed, n)
		}
	}
}
