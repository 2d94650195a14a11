package doctor

import (
	"context"
	"fmt"
	"time"

	"culvert/client"
	"culvert/internal/term"
)

const (
	// echoBytes are more than any freeze is known to let pass, and few on a phone's tariff.
	echoBytes = 32 << 10
	echoLimit = 20 * time.Second

	// uploadTime is the bytes that go up in 3 s at one kbit/s, for services to be asked
	// in time where little passes.
	uploadTime = 3 * 1000 / 8

	// slowBelow is the rate, in bits a second, from which on a person notices.
	slowBelow = 256_000

	// firstRest is the shortest rest that is tried; each is twice the one before.
	firstRest = 10 * time.Second
)

// MaxRest is the longest rest: after 90 s of silence an origin itself ends a connection.
const MaxRest = 80 * time.Second

// pathCheck says what a carrier that lives can carry.
func (p *subject) pathCheck(ctx context.Context, c *client.Client, rest time.Duration) Check {
	check := Check{Front: p.number, Hop: Path, Status: Passed}
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, echoLimit)
	seen := c.Echo(limited, echoBytes)
	cancel()
	check.MS = milliseconds(time.Since(began))
	p.judge(ctx, &check, c, seen)
	if check.Status == Passed && rest > 0 {
		check.rest(ctx, c, rest)
	}
	return check
}

// judge says what an echo shows.
func (p *subject) judge(ctx context.Context, check *Check, c *client.Client, seen client.Echoed) {
	switch {
	case ctx.Err() != nil:
		check.Status = Failed
		check.tell(Other)
		check.Problem, check.Try = "there was no time to try the path", "allow more by --timeout"
	case seen.End != 0:
		p.ended(ctx, check, c, seen)
	case seen.Rate > 0 && seen.Rate < slowBelow:
		check.slow(seen.Rate)
	default:
		check.Detail = fmt.Sprintf("%s came and went", term.Size(uint64(seen.Came)))
	}
}

// ended is for a carrier that did not bring all.
func (p *subject) ended(ctx context.Context, check *Check, c *client.Client, seen client.Echoed) {
	check.Status, check.Bytes = Failed, p.tally.most()
	silent := seen.End == client.Silent
	switch {
	case silent && !c.Probe(ctx, 0).Passed():
		check.tell(PathSilent)
	case silent:
		check.tell(Frozen)
		check.Problem = fmt.Sprintf("a connection is silent after about %d bytes, and a new one answers: the network freezes it", check.Bytes)
		check.Try = "prefer another front: by this one little comes at a time, and media is slow"
	default:
		check.tell(CutAfterBytes)
		check.Problem = fmt.Sprintf("a connection is cut after about %d bytes", check.Bytes)
		check.Try = "try again; if it stays so, prefer another front or network"
	}
}

func (c *Check) slow(rate int) {
	c.tell(Slow)
	c.KBits = max(rate/1000, 1)
	c.Detail = fmt.Sprintf("about %d kbit/s pass", c.KBits)
	c.Try = "prefer another front or network for media, if that is no limit of your own connection"
}

// rest lets the client rest for up to most, longer each time, to see whether it is cut.
func (c *Check) rest(ctx context.Context, of *client.Client, most time.Duration) {
	for d := min(firstRest, most); ; d = min(2*d, most) {
		if of.WaitReady(ctx) != nil {
			return
		}
		why, after := of.Rest(ctx, d)
		if ctx.Err() != nil {
			return
		}
		if why != 0 {
			c.cutAfter(after, why)
			return
		}
		if d == most {
			c.Detail += fmt.Sprintf("; a rest of %s is no harm", most)
			return
		}
	}
}

func (c *Check) cutAfter(rest time.Duration, why client.Cause) {
	c.tell(IdleCut)
	c.Seconds = int(rest.Round(time.Second).Seconds())
	how := "; a connection is closed after a rest of %d s"
	if why == client.Silent {
		how = "; a connection is silent after a rest of %d s"
	}
	c.Detail += fmt.Sprintf(how, c.Seconds)
	c.Try = "let the CDN keep idle WebSockets for a minute or more; with this one chat comes late after a pause"
}

// connections notes in the check of the network how many new ones are allowed.
func (p *subject) connections(ctx context.Context, network *Check) {
	n, limited := p.countConnections(ctx)
	if !limited || network.Status != Passed {
		return
	}
	network.tell(Connections)
	network.Connections = n
	network.Detail += fmt.Sprintf("; after %s within a minute the next one was not answered", term.Count(n, "connection"))
	network.Try = "nothing: culvert connect goes on, and media is slow; another front or network may allow more"
}
