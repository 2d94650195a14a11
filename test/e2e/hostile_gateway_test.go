package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/internal/wire"
	"culvert/test/emulator"
)

// counting is an API whose origins count the streams that they begin. What no ticket leads
// comes to each of them in turn.
func (w *world) counting(streams *atomic.Int64, origins int, opt apiOptions) (a *api, all []far) {
	w.Helper()
	opt.origin = w.counted(streams)
	a = w.api(opt)
	all = []far{a.far}
	to := []string{a.addr}
	for range origins - 1 {
		all = append(all, a.origin(w, opt))
		to = append(to, all[len(all)-1].addr)
	}
	a.inside.target.Store(w.spread(to...).addr())
	return a, all
}

// beside has n, which goes by a way that no hostile edge is on, talk now and then until the
// returned function is called, and wants it to notice nothing.
func (n *near) beside(t *testing.T, who string, way *forwarder) (stop func()) {
	c := n.chat()
	if _, err := c.ping(time.Second); err != nil {
		t.Errorf("%s: %v", who, err)
	}
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-end:
				return
			case <-time.After(10 * time.Second):
			}
			if took, err := c.ping(time.Second); err != nil || took > 100*time.Millisecond {
				t.Errorf("%s: got %v after %v, want an answer at once", who, err, took)
			}
		}
	}()
	return func() {
		close(end)
		<-done
		if err := c.finish(); err != nil {
			t.Errorf("%s: %v", who, err)
		}
		if got := way.dials.Load(); got != 1 {
			t.Errorf("%s: got %d carriers, want one", who, got)
		}
		checkEnds(t, n)
	}
}

// exchanges has each of some clients exchange bytes again and again, and returns how often.
// As many tunnels as may may end because their origin was not found, with a reset.
func exchanges(t *testing.T, rounds, may int64, clients ...*near) int64 {
	t.Helper()
	var all sync.WaitGroup
	var broken atomic.Int64
	for i, n := range clients {
		all.Go(func() {
			for round := range uint64(rounds) {
				o := order{Do: exchange, Seed: 1000*uint64(i) + round, Up: 40_000, Down: 60_000}
				err := n.order(o)
				if err != nil && broken.Add(1) > may || errors.Is(err, errBytes) {
					t.Errorf("client %d, round %d: %v", i, round, err)
				}
			}
		})
	}
	all.Wait()
	for _, n := range clients {
		wantSoon(t, 10*time.Second, "no tunnels left", func() bool { return n.Status().Tunnels == 0 })
		for len(n.ended) > 0 {
			if e := <-n.ended; e.Reason == wire.Expired {
				broken.Add(-1)
			} else if e.Reason != 0 {
				t.Errorf("a tunnel ended: %v (from peer: %v, error: %v), want in order", e.Reason, e.FromPeer, e.Err)
			}
		}
	}
	if n := broken.Load(); n > 0 {
		t.Errorf("got %d resets that the client does not know of", n)
	}
	return rounds * int64(len(clients))
}

// An edge before API Gateway does to text messages what TestAHostileEdgeBreaksCarriersAlone
// does at the stream door, and exchanges tokens, tickets, numbers and plain messages, holds
// messages back for seconds, and brings them by other connections. Carriers break, and
// nothing else; where tickets and chance lead to two origins, a tunnel may be given up now and
// then, whose app gets a reset. Whoever takes another way notices nothing, of the same user or
// of another.
func TestAHostileGatewayBreaksCarriersAlone(t *testing.T) {
	for _, origins := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d origins", origins), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				var streams atomic.Int64
				a, _ := w.counting(&streams, origins, apiOptions{})
				h := w.hostileAt(true, 5, a.posts.addr)
				var stops []func()
				for _, user := range []uint32{1, 3} {
					way := w.forward(a.clients.addr)
					stops = append(stops, w.clientBy(user, w.textFront(way.addr())).ready().beside(t, fmt.Sprintf("user %d beside", user), way))
				}
				front := w.textFront(h.addr())
				rounds, lost := size(15, 40), int64(0)
				if origins > 1 { // whoever leads to the wrong one for half a minute has tunnels given up
					lost = 1 + rounds/20
				}
				tunnels := 2 + exchanges(t, rounds, lost, w.clientBy(1, front), w.clientBy(1, front), w.clientBy(2, front))
				for _, stop := range stops {
					stop()
				}
				wrongs, held := h.wrongs.Load(), h.held.Load()
				t.Logf("%d messages were not passed on as they came, %d carriers held back, of %d; %d tunnels, %d streams",
					wrongs, held, len(h.allShows()), tunnels, streams.Load())
				if wrongs < tunnels/2 {
					t.Errorf("got %d messages not passed on as they came, want more", wrongs)
				}
				most := tunnels
				if origins > 1 { // a hello that comes to another origin costs a stream there
					most += wrongs + held
				}
				if got := streams.Load(); got < tunnels || got > most {
					t.Errorf("got %d streams at the service, want %d", got, tunnels)
				}
			})
		})
	}
}

// hostileFunctions have the functions of an API do what they like with one message of so many.
type hostileFunctions struct {
	emulator.Routes
	every  int64
	wrongs atomic.Int64

	mu  sync.Mutex // guards the following
	ids map[string]struct{}
}

// Invoke implements emulator.Function, for $default.
func (f *hostileFunctions) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	var e map[string]any
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, err
	}
	about := e["requestContext"].(map[string]any)
	other := f.another(about["connectionId"].(string))
	if rand.Int64N(f.every) > 0 {
		return f.Default.Invoke(ctx, event)
	}
	f.wrongs.Add(1)
	switch rand.IntN(5) {
	case 0: // as if by another connection, too
		about["connectionId"] = other
		changed, _ := json.Marshal(e)
		f.Default.Invoke(ctx, changed)
	case 1: // by another alone
		about["connectionId"] = other
		event, _ = json.Marshal(e)
	case 2: // twice
		f.Default.Invoke(ctx, event)
	case 3: // a connection has ended, it says
		about["connectionId"], about["eventType"] = other, "DISCONNECT"
		changed, _ := json.Marshal(e)
		f.Disconnect.Invoke(ctx, changed)
	case 4: // late
		time.Sleep(rand.N(5 * time.Second))
	}
	return f.Default.Invoke(ctx, event)
}

// another is a connection that was seen, perhaps id itself.
func (f *hostileFunctions) another(id string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ids[id] = struct{}{}
	all := slices.Collect(maps.Keys(f.ids))
	return all[rand.IntN(len(all))]
}

// Functions hand messages on as if they had come by other connections, of the same user and of
// another, twice and late, and tell of ends that were none. Carriers break, and nothing else;
// the other door notices nothing.
func TestHostileFunctionsBreakCarriersAlone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var streams atomic.Int64
		f := &hostileFunctions{every: 8, ids: map[string]struct{}{}}
		opt := apiOptions{routes: func(origin string, s emulator.Settings) (emulator.Routes, func()) {
			gate, end := w.gate(origin, s)
			f.Routes = gate
			return emulator.Routes{Connect: gate.Connect, Default: f, Disconnect: gate.Disconnect}, end
		}}
		a, _ := w.counting(&streams, 1, opt)
		way := w.forward(a.streamDoor(w).addr)
		stop := w.clientBy(1, w.front(way.addr())).ready().beside(t, "the stream door", way)
		front := a.front(w)
		tunnels := 1 + exchanges(t, size(15, 40), 0, w.clientBy(1, front), w.clientBy(1, front), w.clientBy(2, front))
		stop()
		t.Logf("%d messages were not handed on as they came; %d tunnels, %d streams", f.wrongs.Load(), tunnels, streams.Load())
		if got := streams.Load(); got != tunnels || f.wrongs.Load() < tunnels/10 {
			t.Errorf("got %d streams at the service and %d messages not handed on as they came, want %d and more", got, f.wrongs.Load(), tunnels)
		}
	})
}

// changing passes all on, but of the first message for which change returns something that.
func changing(done *atomic.Bool, change func(d *direction, m *textMessage) bool) func(*direction, []byte) []parcelOf {
	return func(d *direction, msg []byte) []parcelOf {
		if m, ok := parseText(d.way, msg); ok && !done.Load() && change(d, &m) {
			done.Store(true)
			msg = m.bytes()
		}
		return []parcelOf{{by: d, msg: msg}}
	}
}

// The last message of an answer of several is lost, and nobody says anything more: the client does not
// know of it. The origin asks, and the answer goes on by another carrier.
func TestTheLastMessageOfAnAnswerMayBeLost(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.api(apiOptions{})
		h := w.hostileAt(true, 0, a.posts.addr)
		var done atomic.Bool
		letters := 0
		h.change = func(d *direction, msg []byte) []parcelOf {
			if d.way == 1 {
				letters += len(msg)
			}
			if wire.BytesLen(letters) > 339_000 && !done.Swap(true) {
				return nil
			}
			return []parcelOf{{by: d, msg: msg}}
		}
		n := w.clientBy(1, w.textFront(h.addr())).ready()
		began := time.Now()
		if err := n.order(order{Do: exchange, Seed: 1, Up: 2000, Down: 340_000}); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); !done.Load() || took > 2*time.Minute {
			t.Errorf("took %v (lost %v), want one lost, and 2 minutes at most", took, done.Load())
		}
		checkEnds(t, n)
	})
}

// textFields are all fields that messages have, up and down, by the first carrier of a
// client and by the next.
var textFields = [2][]string{
	{
		"token's version", "token's user", "token's time", "token's nonce", "token's gate", "token's proof",
		"ticket's nonce", "ticket's owner", "ticket's user", "ticket's time", "ticket's tag", "number",
		"Agree's number", "Agree", "record of Agree", "tag of Agree", "Join's number", "Join", "record of Join", "tag of Join",
		"Turn's number", "Turn", "record of Turn", "tag of Turn",
	},
	{
		"ticket's nonce", "ticket's owner", "ticket's user", "ticket's time", "ticket's tag", "number",
		"Agreed's number", "Agreed", "record of Agreed", "tag of Agreed", "Turn's number", "Turn", "record of Turn", "tag of Turn",
	},
}

// One bit of a message is changed, in each of its fields. Whatever comes of it, no byte is
// wrong and no stream begins but what the app began.
func TestEachFieldOfATextMessageMayBeChanged(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var streams atomic.Int64
		a, _ := w.counting(&streams, 1, apiOptions{})
		user, orders := uint32(0), int64(0)
		change := func(way int, name string, bit int) {
			user++
			var done, armed atomic.Bool
			h := w.hostileAt(true, 0, a.posts.addr)
			h.change = changing(&done, func(d *direction, m *textMessage) bool {
				all := m.fields()
				i := slices.IndexFunc(all, func(f field) bool { return f.name == name })
				if d.way != way || i < 0 || !armed.Load() {
					return false
				}
				m.flip(all[i], bit)
				return true
			})
			n := w.clientBy(user, w.textFront(h.addr()))
			for _, arm := range []bool{strings.Contains(name, "Agree") || bit%2 == 0, true} { // the first carrier, or the next
				armed.Store(arm)
				orders++
				if err := n.order(order{Do: exchange, Seed: uint64(user), Up: 2000, Down: 3000}); err != nil {
					t.Errorf("%d %s, bit %d: %v", way, name, bit, err)
				}
				h.cut()
			}
			orders++
			must(t, n.order(order{Do: exchange, Seed: uint64(user), Up: 2000, Down: 3000}))
			if !done.Load() {
				t.Errorf("%d %s: no message has it", way, name)
			}
			n.stop()
		}
		for way, names := range textFields {
			for _, name := range names {
				for range size(1, 3) {
					change(way, name, rand.IntN(1<<20))
				}
			}
		}
		if got := streams.Load(); got != orders {
			t.Errorf("got %d streams at the service, want %d", got, orders)
		}
	})
}
