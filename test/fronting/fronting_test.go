package fronting

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"
)

// fronts are ways to name one site to the network and another to the CDN.
var fronts = map[string]string{
	"the name of another site": ";sni=" + other + ";verify=" + other,
	"no name":                  ";sni=none;verify=" + other,
}

func TestChatAndMediaCrossACDNThatRoutesByHost(t *testing.T) {
	t.Parallel()
	for name, options := range fronts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cdns(t, time.Minute, func(t *testing.T, c *cdn) {
				link := c.link(c.pin, c.front(hidden, options))
				if v, err := c.doctor(link); err != nil || !v.OK {
					t.Errorf("doctor: got %v, failed at %q, want all well", err, v.failedAt())
				}
				n := c.connect(link)
				exchange(t, n, 8<<20)
			})
		})
	}
}

// exchange sends bytes both ways over all services, one after another.
func exchange(t *testing.T, n *near, size int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), transferLimit)
	defer cancel()
	_, err := n.talk(ctx, 50, 0)
	check(t, "chat", err)
	m := n.dialMedia()
	check(t, "download", m.download(size))
	check(t, "upload", m.upload(size))
	check(t, "second download", m.download(1000))
}

func TestAFrontThatIsNotOursIsSaidToBe(t *testing.T) {
	t.Parallel()
	cdns(t, time.Minute, func(t *testing.T, c *cdn) {
		for name, f := range map[string]struct{ pin, front, hop string }{
			"another site's Host":    {c.pin, c.front(other, ""), "gate"},
			"a pin of another key":   {c.mediaCA, c.front(hidden, ";sni=none;verify="+other), "tls"},
			"an authority of no one": {"", c.front(hidden, ";sni="+other), "tls"},
		} {
			v, err := c.doctor(c.link(f.pin, f.front))
			if err == nil || v.OK || v.failedAt() != f.hop {
				t.Errorf("%s: got %v, failed at %q, want %q", name, err, v.failedAt(), f.hop)
			}
		}
	})
}

func TestTheAppDoesNotNoticeThatTheCDNRestarts(t *testing.T) {
	t.Parallel()
	cdns(t, time.Minute, func(t *testing.T, c *cdn) {
		n := c.connect(c.link(c.pin, c.front(hidden, ";sni="+other)))
		restart := func() { c.restart(c) }
		ctx, cancel := context.WithTimeout(t.Context(), transferLimit)
		defer cancel()
		talk := n.talkBeside(ctx)
		m := n.dialMedia()
		check(t, "download", m.download(48<<20, restart, restart))
		check(t, "upload", m.upload(48<<20, restart, restart))
		messages, err := talk()
		check(t, "chat", err)
		if messages < 10 {
			t.Errorf("got %d chat messages answered meanwhile, want more", messages)
		}
		if cut := c.sockets(); cut < 4 {
			t.Errorf("got %d WebSockets cut, want one for each restart", cut)
		}
	})
}

// talkBeside chats until the function that it returns is called.
func (n *near) talkBeside(ctx context.Context) (end func() (int, error)) {
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	var messages int
	var err error
	go func() {
		defer close(done)
		messages, err = n.talk(ctx, math.MaxInt, 5*time.Millisecond)
	}()
	return func() (int, error) {
		stop()
		<-done
		if errors.Is(err, context.Canceled) {
			err = nil
		}
		return messages, err
	}
}

// A CDN cuts a WebSocket that rests for longer than it likes. Within 15 s
// of traffic nothing rests for 5 s; later nothing does for 60 s.
func TestKeepAlivesSatisfyACDN(t *testing.T) {
	t.Parallel()
	onlyIfLong(t)
	for name, c := range map[string]struct{ idle, pause time.Duration }{
		"of 5 s":  {5 * time.Second, 11 * time.Second},
		"of 60 s": {time.Minute, 110 * time.Second}, // the stand-in ends its HTTP connections after 120
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cdns(t, c.idle, func(t *testing.T, cdn *cdn) {
				m := idleFor(t, cdn, c.pause)
				check(t, "download after a rest", m.download(1<<20))
				if cut := cdn.sockets(); cut > 0 {
					t.Errorf("got %d WebSockets cut, want none", cut)
				}
			})
		})
	}
}

// idleFor makes a connection that was used and then rested.
func idleFor(t *testing.T, c *cdn, pause time.Duration) mediaConn {
	t.Helper()
	n := c.connect(c.link(c.pin, c.front(hidden, ";sni=none;verify="+other)))
	m := n.dialMedia()
	check(t, "download", m.download(1<<20))
	<-time.After(pause)
	return m
}

// A CDN that cuts after one second without a byte is worse than all that are
// known: WebSockets come and go, and the app's connections stay.
func TestConnectionsOutliveTheirIdleWebSockets(t *testing.T) {
	t.Parallel()
	onlyIfLong(t)
	cdns(t, time.Second, func(t *testing.T, c *cdn) {
		m := idleFor(t, c, 4*time.Second)
		check(t, "download over the same connection", m.download(1<<20))
		if cut := c.sockets(); cut < 2 {
			t.Errorf("got %d WebSockets cut, want 2 at least", cut)
		}
	})
}
