package client

import (
	"context"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/dial"
)

// Echoed is what Echo saw.
type Echoed struct {
	Came int   // bytes that came, of those that were asked for
	Rate int   // bits a second at which they came, after the first; 0: too quick to tell
	End  Cause // why the carrier ended; 0: it lives, and all has come
}

const (
	echoTick    = 20 * time.Millisecond
	echoSilence = 4 * time.Second // as much as Check has: a path that brings nothing for so long has frozen
	echoTrips   = 6               // what comes within so many round trips is limited by the windows of the question, or TCP's
	echoWindow  = 4 << 10         // bytes that are under way at first, so that a slow path's queue takes them
	echoFast    = 16 << 10        // bytes that are under way at most, where a window comes quickly
)

// Echo has the origin bring about n bytes down by the main carrier, for which as many
// go up, and waits until they have come, or the carrier ends, or falls silent; then
// Echo ends it. It is for examining a way: WaitReady comes before it. It costs what
// as many bytes of an app do. What is under way at once is little, and grows where it comes
// quickly: a burst that a slow path's queue drops would look like a freeze.
func (c *Client) Echo(ctx context.Context, n int) Echoed {
	main := c.pool.view().main
	if main == nil {
		return Echoed{End: carrier.Cut}
	}
	e := echo{carrier: main.Carrier, want: n / echoUnit * echoUnit, before: main.Echoed(), window: echoWindow}
	e.ask(time.Now(), echoUnit) // measures a round trip
	for !e.look(time.Now()) && dial.Sleep(ctx, echoTick) {
	}
	return e.seen()
}

// echoUnit is what Echo counts in.
const echoUnit = 9

// echo is one Echo that goes on.
type echo struct {
	carrier      *carrier.Carrier
	before, want int
	window       int           // bytes that may be under way
	asked, came  int           // bytes
	askedAt      time.Time     // when some were asked for, the last time
	trip         time.Duration // of the first unit; 0: it has not come
	first, last  time.Time     // when some came, after that
	firstCame    int           // how many had by first
}

// look reports whether nothing more is to come, and asks for more.
func (e *echo) look(now time.Time) bool {
	if came := e.carrier.Echoed() - e.before; came > e.came {
		e.came, e.last = came, now
		switch {
		case e.trip == 0:
			e.trip = max(now.Sub(e.askedAt), echoTick)
		case e.firstCame == 0:
			e.first, e.firstCame = now, came
		}
	}
	if min(e.carrier.Quiet(now), now.Sub(e.askedAt)) > echoSilence {
		e.carrier.CloseFor(carrier.Silent)
	}
	if left := e.asked - e.came; e.trip > 0 && left <= e.window/2 {
		if e.asked > echoUnit && now.Sub(e.askedAt) <= 3*e.trip/2+2*echoTick {
			e.window = min(2*e.window, echoFast)
		}
		e.ask(now, e.window-left)
	}
	return e.came >= e.want || e.carrier.Dead()
}

// ask has n more bytes come, or all that are wanted.
func (e *echo) ask(now time.Time, n int) {
	if n = min(n, e.want-e.asked) / echoUnit * echoUnit; n > 0 {
		e.carrier.Echo(n)
		e.asked, e.askedAt = e.asked+n, now
	}
}

func (e *echo) seen() Echoed {
	seen := Echoed{Came: e.came, End: whyLost(e.carrier)}
	if took := e.last.Sub(e.first); took > echoTrips*e.trip {
		seen.Rate = int(float64(8*(e.came-e.firstCame)) / took.Seconds())
	}
	return seen
}

// Rest lets the main carrier rest for d, without anything that keeps it alive, and then
// asks whether the origin is there. It returns why the carrier has ended, and after how
// long a rest; 0 if it lives. Nothing else may use the client meanwhile.
func (c *Client) Rest(ctx context.Context, d time.Duration) (why Cause, after time.Duration) {
	main := c.pool.view().main
	if main == nil {
		return carrier.Cut, 0
	}
	began := time.Now()
	main.Rest(began.Add(d + echoSilence))
	defer main.Rest(time.Time{})
	for time.Since(began) < d && !main.Dead() && dial.Sleep(ctx, echoTick) {
	}
	after = time.Since(began)
	if main.Dead() {
		return main.Cause(), after
	}
	asked, before := time.Now(), main.Echoed()
	main.Echo(echoUnit)
	for ctx.Err() == nil && !main.Dead() && main.Echoed() == before {
		if time.Since(asked) > echoSilence {
			main.CloseFor(carrier.Silent)
		}
		dial.Sleep(ctx, echoTick)
	}
	return whyLost(main.Carrier), after
}

// whyLost is why a carrier has ended that owed an answer; 0: it has not. This end gives
// up only one that is silent then, whoever noticed it first.
func whyLost(c *carrier.Carrier) Cause {
	if why := c.Cause(); why != carrier.EndedHere {
		return why
	}
	return Silent
}
