package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"culvert/client"
	"culvert/client/front"
	"culvert/internal/link"
	"culvert/internal/term"
	"culvert/internal/tunnel"
	"culvert/internal/whatsapp"
	"culvert/internal/wire"
)

const (
	// originLimit bounds the wait for the origin's first answer.
	originLimit = 10 * time.Second

	// serviceLimit is above the 10 seconds that an origin takes to find that
	// WhatsApp is out of its reach, so that we hear of it.
	serviceLimit = 12 * time.Second
)

// Listener hears of an examination as it goes on: of each front before its
// checks, and of each check. Its methods are called one after another.
type Listener interface {
	Front(number int, f link.Front)
	Check(c Check)
}

// Silent is a Listener for whom the report is enough.
type Silent struct{}

// Front does nothing.
func (Silent) Front(int, link.Front) {}

// Check does nothing.
func (Silent) Check(Check) {}

// Examine goes the whole way to WhatsApp by each front of the link, by all of
// them at once, with d's settings or those of its zero value if it is nil, and
// returns when nothing of it runs any more. It takes as long as ctx allows, and a
// minute at most. Tell hears of the fronts in their order.
func Examine(ctx context.Context, l *link.Link, d *front.Dialer, t Trust, tell Listener) *Report {
	r := newReport(ByLink)
	r.add(tell, Check{Hop: Link, Status: Passed,
		Detail: fmt.Sprintf("valid, for user %d, with %s", l.Keys.User, term.Count(len(l.Fronts), "front"))})
	results := make([]chan []Check, len(l.Fronts))
	for i := range l.Fronts {
		results[i] = make(chan []Check, 1)
		go func() { results[i] <- examineFront(ctx, l, i, d, t) }()
	}
	for i, f := range l.Fronts {
		tell.Front(i+1, f)
		for _, c := range <-results[i] {
			r.add(tell, c)
		}
	}
	return r
}

// ExamineBadLink is the report of a link that could not be read, and why.
func ExamineBadLink(err error, tell Listener) *Report {
	r := newReport(ByLink)
	r.add(tell, Check{Hop: Link, Status: Failed, Problem: err.Error()})
	return r
}

// ExamineDirect asks WhatsApp from this machine, without a relay.
func ExamineDirect(ctx context.Context, u *whatsapp.Upstream, t Trust, tell Listener) *Report {
	r := newReport(Directly)
	for _, c := range proofChecks(0, waysBy(u.Dial).Prove(ctx, t, serviceLimit), adviceDirect) {
		r.add(tell, c)
	}
	return r
}

// examineFront goes the whole way by one front alone.
func examineFront(ctx context.Context, l *link.Link, i int, d *front.Dialer, t Trust) []Check {
	alone := &link.Link{Keys: l.Keys, Fronts: l.Fronts[i : i+1]}
	ends := newCloseReasons()
	c, err := client.New(client.Config{Link: alone, Dialer: d, Ended: ends.add})
	if err != nil {
		return skip(i+1, []Check{{Front: i + 1, Hop: Network, Status: Failed, Problem: err.Error()}})
	}
	checks := frontChecks(i+1, c.Probe(ctx, 0))
	if checks[len(checks)-1].Status == Failed {
		return skip(i+1, checks)
	}
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	defer running.Wait()
	defer stop()
	checks = append(checks, originCheck(ctx, i+1, c))
	if checks[len(checks)-1].Status == Failed {
		return skip(i+1, checks)
	}
	ways := waysBy(func(_ context.Context, s wire.Service) (net.Conn, error) { return c.Dial(s), nil })
	all := ways.Prove(ctx, t, serviceLimit)
	return append(checks, proofChecks(i+1, all, func(p Proof, hop Hop) (string, string) { return adviceRelay(p, ends.reason(hop)) })...)
}

// skip adds the hops of the front that come after the last of checks.
func skip(front int, checks []Check) []Check {
	for _, hop := range ofFront[len(checks):] {
		checks = append(checks, Check{Front: front, Hop: hop, Status: Skipped})
	}
	return checks
}

// frontChecks says of each hop that was probed how it went.
func frontChecks(front int, p client.Probed) (checks []Check) {
	for _, h := range p.Hops {
		c := Check{Front: front, Hop: Hop(h.Name), Status: Passed, MS: milliseconds(h.Took)}
		switch {
		case h.Err == nil:
			c.describe(p)
		case errors.Is(h.Err, client.ErrNotLetIn) && p.Ahead.Abs() > client.FrontOffset:
			c.Status = Failed
			c.Problem, c.Try = adviceClock(p.Ahead)
		default:
			c.Status = Failed
			c.Problem, c.Try = adviceFront(h.Err)
		}
		checks = append(checks, c)
	}
	return checks
}

// describe says what was seen of a hop that was passed.
func (c *Check) describe(p client.Probed) {
	switch c.Hop {
	case Network:
		c.Detail = "connected"
	case TLS:
		c.Detail = "certificate verified " + trustText(p.Pinned)
		if !p.NotAfter.IsZero() {
			c.Detail += ", until " + term.Date(p.NotAfter)
			c.Expires = p.NotAfter.UTC().Format(time.RFC3339)
		}
		if p.Version != 0 {
			c.Detail += ", " + tls.VersionName(p.Version)
		}
	case Gate:
		c.Detail = "let in"
		if p.Ahead.Abs() >= time.Minute {
			c.Detail += fmt.Sprintf("; this machine's clock is wrong by %s, which is allowed for", p.Ahead.Abs())
		}
	}
}

func trustText(pinned bool) string {
	if pinned {
		return "by pin"
	}
	return "by a public CA"
}

func originCheck(ctx context.Context, front int, c *client.Client) Check {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, originLimit)
	defer cancel()
	err := c.WaitReady(ctx)
	rtt := time.Duration(0)
	if err == nil {
		rtt = MeasureRTT(ctx, c)
	}
	if rtt == 0 {
		return Check{Front: front, Hop: Origin, Status: Failed, MS: milliseconds(time.Since(start)),
			Problem: "let in, but the origin does not answer",
			Try:     "try again; if it stays so, something between the front and the origin holds WebSockets back"}
	}
	return Check{Front: front, Hop: Origin, Status: Passed, MS: milliseconds(rtt), Detail: "answers, round trip " + term.Took(rtt)}
}

// MeasureRTT waits at most two seconds for the answer to the client's first
// ping, and returns how long that took, or 0.
func MeasureRTT(ctx context.Context, c *client.Client) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if rtt := c.Status().RTT; rtt > 0 {
			return rtt
		}
		select {
		case <-ctx.Done():
			return 0
		case <-tick.C:
		}
	}
}

// proofChecks turns proofs into checks; advice says what is wrong and what to
// try.
func proofChecks(front int, all Proofs, advice func(Proof, Hop) (problem, try string)) (checks []Check) {
	for i, p := range []Proof{all.Chat, all.Down, all.Up} {
		c := Check{Front: front, Hop: Services[i], Status: Passed, MS: milliseconds(p.Took), Detail: p.Detail,
			LeafSerial: p.leaf, HTTPStatus: p.status}
		if !p.expiry.IsZero() {
			c.Expires = p.expiry.UTC().Format(time.RFC3339)
		}
		if len(p.Warnings) > 0 {
			c.Detail += "; " + strings.Join(p.Warnings, "; ")
		}
		if p.Err != nil {
			c.Status = Failed
			c.Problem, c.Try = advice(p, c.Hop)
		}
		checks = append(checks, c)
	}
	return checks
}

// waysBy are the ways of a dial that leads to WhatsApp's services.
func waysBy(dial func(context.Context, wire.Service) (net.Conn, error)) Ways {
	return Ways{
		Chat: func(ctx context.Context) (net.Conn, error) { return dial(ctx, wire.Service{Kind: wire.Chat}) },
		Media: func(ctx context.Context) (net.Conn, error) {
			return dial(ctx, wire.Service{Kind: wire.Media, Host: whatsapp.MediaHost})
		},
	}
}

// reasonLimit is how long a tunnel's end may take to tell why.
const reasonLimit = 300 * time.Millisecond

// closeReasons are why the origin gave a tunnel of each kind up, once it has said so.
type closeReasons map[wire.ServiceKind]chan wire.Reason

func newCloseReasons() closeReasons {
	return closeReasons{wire.Chat: make(chan wire.Reason, 1), wire.Media: make(chan wire.Reason, 1)}
}

func (r closeReasons) add(end tunnel.End) {
	if end.Reason != 0 && end.FromPeer {
		r.keep(end.Service.Kind, end.Reason)
	}
}

func (r closeReasons) keep(kind wire.ServiceKind, why wire.Reason) {
	select {
	case r[kind] <- why:
	default: // there is one already
	}
}

// reason is why a tunnel for hop was given up; 0 if the origin did not say.
func (r closeReasons) reason(hop Hop) wire.Reason {
	kind := wire.Media
	if hop == Chat {
		kind = wire.Chat
	}
	select {
	case why := <-r[kind]:
		r.keep(kind, why) // media is asked about twice
		return why
	case <-time.After(reasonLimit):
		return 0
	}
}
