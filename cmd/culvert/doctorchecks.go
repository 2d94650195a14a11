package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"culvert/client"
	"culvert/internal/link"
	"culvert/internal/term"
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

var proofHops = []string{"chat", "media_down", "media_up"}

// examineFront goes the whole way by one front alone.
func examineFront(ctx context.Context, l *link.Link, i int, t trust) []check {
	alone := &link.Link{Keys: l.Keys, Fronts: l.Fronts[i : i+1]}
	ends := newEndings()
	c, err := client.New(client.Config{Link: alone, Ended: ends.add})
	if err != nil {
		return skip(i+1, []check{{Front: i + 1, Hop: "network", Status: failed, Problem: err.Error()}})
	}
	checks := frontChecks(i+1, c.Probe(ctx, 0))
	if checks[len(checks)-1].Status == failed {
		return skip(i+1, checks)
	}
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	defer func() { stop(); await(done) }()
	checks = append(checks, originCheck(ctx, i+1, c))
	if checks[len(checks)-1].Status == failed {
		return skip(i+1, checks)
	}
	all := through(c).prove(ctx, t, serviceLimit)
	return append(checks, proofChecks(i+1, all, func(p proof, hop string) (string, string) { return adviceRelay(p, ends.reason(hop)) })...)
}

// skip adds the hops behind the last of checks.
func skip(front int, checks []check) []check {
	for _, hop := range append([]string{"network", "tls", "gate", "origin"}, proofHops...)[len(checks):] {
		checks = append(checks, check{Front: front, Hop: hop, Status: notTried})
	}
	return checks
}

// frontChecks says of each hop how it went; nothing of those behind.
func frontChecks(front int, p client.Probed) (checks []check) {
	for _, h := range p.Hops {
		c := check{Front: front, Hop: string(h.Name), Status: passed, MS: milliseconds(h.Took)}
		if h.Err != nil {
			c.Status = failed
			c.Problem, c.Try = adviceFront(h.Err)
		} else {
			c.describe(h.Name, p)
		}
		checks = append(checks, c)
	}
	return checks
}

func (c *check) describe(hop client.HopName, p client.Probed) {
	switch hop {
	case client.HopNetwork:
		c.Detail = "connected"
	case client.HopTLS:
		c.Detail = "certificate verified " + trustText(p.Pinned)
		if !p.NotAfter.IsZero() {
			c.Detail += ", until " + term.Date(p.NotAfter)
			c.Expires = p.NotAfter.UTC().Format(time.RFC3339)
		}
		if p.Version != 0 {
			c.Detail += ", " + tls.VersionName(p.Version)
		}
	case client.HopGate:
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

func originCheck(ctx context.Context, front int, c *client.Client) check {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, originLimit)
	defer cancel()
	err := c.WaitReady(ctx)
	rtt := time.Duration(0)
	if err == nil {
		rtt = measureRTT(ctx, c)
	}
	if rtt == 0 {
		return check{Front: front, Hop: "origin", Status: failed, MS: milliseconds(time.Since(start)),
			Problem: "let in, but the origin does not answer",
			Try:     "try again; if it stays so, something between the front and the origin holds WebSockets back"}
	}
	return check{Front: front, Hop: "origin", Status: passed, MS: milliseconds(rtt), Detail: "answers, round trip " + term.Took(rtt)}
}

// proofChecks turns proofs into checks; advice says what is wrong and what to try.
func proofChecks(front int, all proofs, advice func(p proof, hop string) (problem, try string)) (checks []check) {
	for i, p := range []proof{all.chat, all.down, all.up} {
		c := check{Front: front, Hop: proofHops[i], Status: passed, MS: milliseconds(p.took), Detail: p.detail,
			LeafSerial: p.leaf, HTTPStatus: p.status}
		if !p.expiry.IsZero() {
			c.Expires = p.expiry.UTC().Format(time.RFC3339)
		}
		if len(p.warn) > 0 {
			c.Detail += "; " + strings.Join(p.warn, "; ")
		}
		if p.err != nil {
			c.Status = failed
			c.Problem, c.Try = advice(p, c.Hop)
		}
		checks = append(checks, c)
	}
	return checks
}

func (c check) took() time.Duration { return time.Duration(c.MS * float64(time.Millisecond)) }

// milliseconds has three decimals.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// through leads over a client.
func through(c *client.Client) ways {
	return ways{
		chat: func(context.Context) (net.Conn, error) { return c.Dial(wire.Service{Kind: wire.Chat}), nil },
		media: func(context.Context) (net.Conn, error) {
			return c.Dial(wire.Service{Kind: wire.Media, Host: whatsapp.MediaHost}), nil
		},
	}
}

// direct leads to WhatsApp without a relay.
func direct(u *whatsapp.Upstream) ways {
	return ways{
		chat: func(ctx context.Context) (net.Conn, error) { return u.Dial(ctx, wire.Service{Kind: wire.Chat}) },
		media: func(ctx context.Context) (net.Conn, error) {
			return u.Dial(ctx, wire.Service{Kind: wire.Media, Host: whatsapp.MediaHost})
		},
	}
}
