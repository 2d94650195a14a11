package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
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

// Options say how to examine. Their zero value is ready.
type Options struct {
	Dialer *front.Dialer // whose settings are used; nil: those of its zero value
	Later  client.Later  // fronts that came after the link: they are examined, too
	Rest   time.Duration // how long a connection may rest, at most, to see whether that is cut; 0: not at all
}

// Examine goes the whole way to WhatsApp by each front of the link, by all of them at
// once, and returns when nothing of it runs any more. It takes as long as ctx allows, and
// a minute at most besides twice the rest. Tell hears of the fronts in their order.
func Examine(ctx context.Context, l *link.Link, o Options, t Trust, tell Listener) *Report {
	r := newReport(ByLink)
	r.add(tell, Check{Hop: Link, Status: Passed, Detail: describeLink(l, o.Later)})
	fronts := slices.Concat(l.Fronts, o.Later.Fronts)
	results := make([]chan []Check, len(fronts))
	for i, f := range fronts {
		results[i] = make(chan []Check, 1)
		go func() { results[i] <- examineFront(ctx, l, i, f, o, t) }()
	}
	for i, f := range fronts {
		tell.Front(i+1, f)
		for _, c := range <-results[i] {
			r.add(tell, c)
		}
	}
	return r
}

// describeLink says what the link holds, and what has changed since it was made.
func describeLink(l *link.Link, later client.Later) string {
	text := fmt.Sprintf("valid, for user %d, with %s", l.Keys.User, term.Count(len(l.Fronts), "front"))
	if n := len(later.Fronts); n > 0 {
		text += fmt.Sprintf("; %d more came later, from number %d on", n, len(l.Fronts)+1)
	}
	for _, i := range later.Withdrawn {
		text += fmt.Sprintf("; front %d is withdrawn", i+1)
	}
	return text
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
func examineFront(ctx context.Context, l *link.Link, i int, f link.Front, o Options, t Trust) []Check {
	alone := &link.Link{Keys: l.Keys, Fronts: []link.Front{f}}
	p := &subject{number: i + 1, front: f, tally: &tally{}}
	p.dialer = p.tally.over(o.Dialer)
	p.dialer.LookKey = front.LookKey(l)
	ends := newCloseReasons()
	cfg := client.Config{Link: alone, Dialer: p.dialer, Ended: ends.add, LinkAlone: true}
	if i >= len(l.Fronts) {
		cfg.Confine = o.Later.MayLeadTo
	}
	c, err := client.New(cfg)
	if err != nil {
		return skip(i+1, []Check{{Front: i + 1, Hop: Network, Status: Failed, Problem: err.Error()}})
	}
	checks := p.frontChecks(ctx, c.Probe(ctx, 0))
	if checks[len(checks)-1].Status == Failed {
		return skip(i+1, checks)
	}
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	defer running.Wait()
	defer stop()
	checks = append(checks, p.originCheck(ctx, c))
	if checks[len(checks)-1].Status == Failed {
		return skip(i+1, checks)
	}
	path := p.pathCheck(ctx, c, o.Rest)
	checks = append(checks, path)
	ways := waysBy(func(_ context.Context, s wire.Service) (net.Conn, error) { return c.Dial(s), nil })
	ways.Upload = path.KBits * uploadTime
	all := ways.Prove(ctx, t, serviceLimit)
	if path.Cause != Slow && path.Cause != PathSilent { // else silence says nothing
		p.connections(ctx, &checks[0])
	}
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
func (p *subject) frontChecks(ctx context.Context, seen client.Probed) (checks []Check) {
	for _, h := range seen.Hops {
		c := Check{Front: p.number, Hop: Hop(h.Name), Status: Passed, MS: milliseconds(h.Took)}
		if h.Err == nil {
			c.describe(seen)
		} else {
			c.fail(h.Err, p.whyFailed(ctx, seen), seen.Ahead)
		}
		checks = append(checks, c)
	}
	return checks
}

// fail says what is wrong with a hop, by what is known of its cause or else by its error.
func (c *Check) fail(err error, cause Cause, ahead time.Duration) {
	c.Status = Failed
	c.Problem, c.Try = adviceFront(err)
	switch c.tell(cause); {
	case cause == Clock && ahead != 0:
		c.Problem, c.Try = adviceClock(ahead)
	case cause == Certificate, cause == Clock:
		c.Problem, c.Try = splitHint(term.OneLine(err))
	}
}

// describe says what was seen of a hop that was passed.
func (c *Check) describe(p client.Probed) {
	switch c.Hop {
	case Network:
		c.Detail = "connected"
	case TLS:
		c.Detail = trustText(p.Pinned)
		if !p.NotAfter.IsZero() {
			c.Detail = fmt.Sprintf("%s, until %s", c.Detail, term.Date(p.NotAfter))
			c.Expires = p.NotAfter.UTC().Format(time.RFC3339)
		}
		if p.Version != 0 {
			c.Detail += ", " + tls.VersionName(p.Version)
		}
		if p.ECH {
			c.Detail += "; the name is encrypted (ECH)"
		}
		if p.Small {
			c.tell(HelloSize)
			c.Detail += "; " + c.Problem
			c.Problem = ""
		}
	case Gate:
		c.Detail = "let in"
		if p.Ahead.Abs() >= time.Minute {
			c.Cause, c.Try = Clock, "set the clock"
			c.Detail += fmt.Sprintf("; this machine's clock is wrong by %s, which is allowed for", p.Ahead.Abs())
		}
	}
}

func trustText(pinned bool) string {
	if pinned {
		return "certificate verified by pin"
	}
	return "certificate verified by a public CA"
}

func (p *subject) originCheck(ctx context.Context, c *client.Client) Check {
	check := Check{Front: p.number, Hop: Origin, Status: Passed}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, originLimit)
	defer cancel()
	err := c.WaitReady(ctx)
	rtt := time.Duration(0)
	if err == nil {
		rtt = MeasureRTT(ctx, c)
	}
	switch {
	case rtt > 0:
		check.MS, check.Detail = milliseconds(rtt), fmt.Sprintf("answers, round trip %s", term.Took(rtt))
	case err != nil && p.isLimited(c.Status().LastError):
		check.Status, check.MS, check.Connections = Failed, milliseconds(time.Since(start)), p.tally.answered(time.Now())
		check.tell(Connections)
		check.Problem = fmt.Sprintf("after %s within a minute the next one is not answered", term.Count(check.Connections, "connection"))
		check.Try = "wait for a minute, and try another front or network"
	default:
		check.Status, check.MS = Failed, milliseconds(time.Since(start))
		check.tell(OriginSilent)
	}
	return check
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
