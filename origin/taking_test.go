package origin

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"culvert/internal/share"
	"culvert/internal/tunnel"
	"culvert/internal/wire"
)

// timedRecorder is an answer to a request whose deadlines it keeps.
type timedRecorder struct {
	*httptest.ResponseRecorder
	deadlines []time.Time
}

func (r *timedRecorder) SetReadDeadline(t time.Time) error {
	r.deadlines = append(r.deadlines, t)
	return nil
}

func (r *timedRecorder) last() time.Time { return r.deadlines[len(r.deadlines)-1] }

// A request whose body has come is not ended by what bounded its body, nor by others that want
// that place.
func TestABodysDeadlineEndsWithTheBody(t *testing.T) {
	t.Parallel()
	g := &gatewayDoor{coming: share.NewStrangers(1)}
	first := &timedRecorder{ResponseRecorder: httptest.NewRecorder()}
	body := make([]byte, 4)
	if err := g.read(first, httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body)), body); err != nil {
		t.Fatal(err)
	}
	if !first.last().IsZero() {
		t.Errorf("got a deadline of %v after the body, want none", first.last())
	}
	var d deadline
	set := 0
	d.set = func(time.Time) error { set++; return nil }
	d.over(true)
	if d.until(longAgo); set != 1 {
		t.Error("got the deadline set after the body has come")
	}
	cut := &timedRecorder{ResponseRecorder: httptest.NewRecorder()}
	if err := g.read(cut, httptest.NewRequest(http.MethodPost, "/", io.LimitReader(bytes.NewReader(body), 2)), body); err == nil || cut.last().IsZero() {
		t.Errorf("got %v of half a body, and %v; want an error, and its deadline", err, cut.last())
	}
}

// A function is told that there is no place, not shown the site.
func TestAFunctionsBodyWithoutAPlaceIsToldSo(t *testing.T) {
	t.Parallel()
	gates := wire.GateKeys{{1}}
	g := &gatewayDoor{
		checker: wire.NewChecker(gates), coming: share.NewStrangers(8), taking: newTaking(0),
		metrics: newMetrics(prometheus.NewRegistry(), tunnel.NewTable(tunnel.Events{}, tunnel.NewWindows(0), false), func() int { return 0 }), conns: map[string]*connection{},
	}
	signed := wire.NewSigner(gates).Sign(wire.Handed{Event: wire.Message, Conn: "a=", Text: wire.AppendText(wire.AppendUp(nil, "", ""), make([]byte, 8))}, time.Now())
	r, w := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(signed)), httptest.NewRecorder()
	if !g.serve(w, r) || w.Code != http.StatusServiceUnavailable {
		t.Errorf("got %d, want 503", w.Code)
	}
}

// One user's bodies that take long keep no other's waiting, and few of them are in memory.
func TestBodiesAreOfUsers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		taking := newTaking(80)
		ctx, cancel := context.WithTimeout(t.Context(), takeWait)
		defer cancel()
		var leaves []func()
		refused := make(chan bool, 200)
		for range 200 {
			go func() {
				leave, ok := taking.begin(ctx, 1, 1)
				if refused <- !ok; ok {
					leaves = append(leaves, leave)
				}
			}()
			synctest.Wait()
		}
		if len(leaves) != 70 || taking.handled.Taken()+taking.waiting.Taken() != 140 || len(refused) != 130 {
			t.Errorf("got %d of one user's handled, %d refused", len(leaves), len(refused)-70)
		}
		other, ok := taking.begin(ctx, 2, 1)
		if !ok {
			t.Fatal("another user is refused")
		}
		other()
		leaves[0]()
		synctest.Wait()
		if len(leaves) != 71 {
			t.Error("got none of those that wait handled, want one in the place of another")
		}
		time.Sleep(2 * takeWait)
		for _, leave := range leaves[1:] {
			leave()
		}
		if left := taking.handled.Taken() + taking.waiting.Taken(); left != 0 {
			t.Errorf("got %d left, want none", left)
		}
	})
}
