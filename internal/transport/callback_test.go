package transport

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/tasks"
	"culvert/internal/wire"
)

var testTicket = strings.Repeat("K", wire.TicketLen)

// gateway is an API Gateway that takes a time for each post.
type gateway struct {
	takes time.Duration
	err   error

	mu    sync.Mutex // guards the following
	texts []string
	now   int // posts under way
	most  int
}

func (g *gateway) post(ctx context.Context, text []byte) error {
	g.mu.Lock()
	g.texts = append(g.texts, string(text))
	g.now++
	g.most = max(g.most, g.now)
	g.mu.Unlock()
	defer func() { g.mu.Lock(); g.now--; g.mu.Unlock() }()
	select {
	case <-time.After(g.takes):
		return g.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// conn is started, and gives what comes to the channel.
func (g *gateway) conn(inFlight int) (c *CallbackConn, came chan []byte, group *tasks.Group) {
	c, came, group = NewCallbackConn(g.post, inFlight, testTicket), make(chan []byte, 10), tasks.NewGroup()
	c.Start(Owner{Tasks: group, Deliver: func(body []byte) error { came <- bytes.Clone(body); return nil }})
	return c, came, group
}

func TestPostsUnderWayAreBounded(t *testing.T) {
	t.Parallel()
	for _, inFlight := range []int{1, 2, 8} {
		synctest.Test(t, func(t *testing.T) {
			g := &gateway{takes: time.Second}
			c, _, group := g.conn(inFlight)
			began := time.Now()
			for i := range 8 {
				if err := c.WriteMessage([]byte{byte(i)}); err != nil {
					t.Fatal(err)
				}
				if took, want := time.Since(began), time.Duration((i+1)/inFlight)*time.Second; took != want {
					t.Errorf("%d at once: got message %d written after %v, want %v, when another may go", inFlight, i, took, want)
				}
			}
			time.Sleep(time.Minute)
			if len(g.texts) != 8 || g.most != inFlight {
				t.Errorf("got %d posts and %d at once, want 8 and %d", len(g.texts), g.most, inFlight)
			}
			c.Close()
			group.Wait()
		})
	}
}

func TestAFailedPostClosesTheTransportAndTellsWhoWrites(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{takes: time.Second, err: errors.New("gone")}
		c, _, group := g.conn(1)
		for _, when := range []string{"who waits", "who comes later"} {
			if err := c.WriteMessage([]byte("body")); err != g.err {
				t.Errorf("%s: got %v, want %v", when, err, g.err)
			}
		}
		<-c.Done()
		if group.Wait(); len(g.texts) != 1 {
			t.Errorf("got %d posts, want none after the one that failed", len(g.texts))
		}
	})
}

func TestCloseEndsPostsAndWhoWaitsForThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{takes: time.Hour}
		c, _, group := g.conn(1)
		resumed := false
		if !c.Park(func() { resumed = true }) {
			t.Error("got not parked")
		}
		time.AfterFunc(time.Second, func() { c.Close() })
		began := time.Now()
		if err := c.WriteMessage([]byte("body")); err != net.ErrClosed || time.Since(began) != time.Second {
			t.Errorf("got %v after %v, want net.ErrClosed with Close", err, time.Since(began))
		}
		if group.Wait(); !resumed || time.Since(began) != time.Second {
			t.Errorf("got resumed %v and the last post's end after %v", resumed, time.Since(began))
		}
		if _, err := c.NextMessage(); err == nil || c.Park(func() {}) || c.WriteMessage(nil) == nil || c.Take(wire.Up{}) == nil {
			t.Error("a closed transport goes on")
		}
	})
}

func TestTheTicketGoesAlongUntilTheClientHasBroughtIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := new(gateway)
		c, came, group := g.conn(1)
		for i, m := range []wire.Up{{Token: "t"}, {Token: "t"}, {Ticket: testTicket}, {Token: "t"}} {
			m.Body = wire.AppendText(nil, []byte("up"))
			if err := c.Take(m); err != nil || string(<-came) != "up" {
				t.Errorf("message %d: got %v", i, err)
			}
			c.WriteMessage([]byte("down"))
			synctest.Wait()
			ticket, body, err := wire.ParseDown([]byte(g.texts[i]))
			if got, _ := wire.AppendBytes(nil, body); err != nil || (ticket == testTicket) != (i < 2) || string(got) != "down" {
				t.Errorf("message %d: got %q with ticket %q and %v", i, got, ticket, err)
			}
		}
		c.Close()
		group.Wait()
	})
}

func TestWhatNobodyMakesClosesTheTransport(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		body    string
		deliver error
		want    error
	}{
		"no text of ours":       {"~~", nil, wire.ErrText},
		"what the owner denies": {string(wire.AppendText(nil, []byte("up"))), refused, refused},
	} {
		conn := NewCallbackConn(new(gateway).post, 1, testTicket)
		conn.Start(Owner{Tasks: tasks.NewGroup(), Deliver: func([]byte) error { return c.deliver }})
		if err := conn.Take(wire.Up{Body: []byte(c.body)}); err != c.want || conn.ctx.Err() == nil {
			t.Errorf("%s: got %v and closed %v, want %v and so", name, err, conn.ctx.Err() != nil, c.want)
		}
	}
}
