package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"culvert/client"
	"culvert/internal/term"
	"culvert/internal/whatsapp"
)

// proofLimit is how long "up" waits for WhatsApp: longer than anyone's TLS
// takes, and short enough to sit through.
const proofLimit = 7 * time.Second

// errNoWhatsApp ends "up" where WhatsApp cannot be reached.
var errNoWhatsApp = errors.New("WhatsApp cannot be reached from this machine; to try Culvert without it, run:\n  culvert up --upstream=stand-in")

// proveWhatsApp asks through the app's listeners. It fails if nothing answers.
func (r *localRelay) proveWhatsApp(ctx context.Context, out *term.Console, limit time.Duration) error {
	whom := "WhatsApp"
	if r.standIn != nil {
		whom = "the stand-in"
	}
	out.Title("Asking " + whom + " through the relay")
	out.Show("… waiting for an answer")
	all := ways{r.near.dialChat, r.near.dialMedia}.prove(ctx, r.trust, limit)
	out.Show("")
	if ctx.Err() != nil {
		return ctx.Err()
	}
	all.chat.say(out, "Chat")
	all.down.say(out, "Media down")
	all.up.say(out, "Media up")
	if all.chat.err != nil && all.down.err != nil && all.up.err != nil {
		out.Hint("%s", r.failedHop(all))
		return errNoWhatsApp
	}
	if all.chat.err != nil || all.down.err != nil || all.up.err != nil {
		out.Hint("%s Going on with what works.", r.failedHop(all))
	}
	return nil
}

func (p proof) say(out *term.Console, what string) {
	if p.err != nil {
		out.Step(term.Bad, p.took, "%s: %s", what, plainly(p.err))
		return
	}
	out.Step(term.Good, p.took, "%s: %s", what, p.detail)
	for _, w := range p.warn {
		out.Hint("%s", w)
	}
}

// failedHop says in plain words where the way ends.
func (r *localRelay) failedHop(all proofs) string {
	const works = "The relay works: client, edge and origin on this machine reach one another. "
	why := r.whyNoDial()
	switch {
	case why != nil:
		return works + "The last hop fails, from the origin to WhatsApp: " + why.Error() + ". " +
			"Is this machine on the internet, and may it connect to WhatsApp?"
	case errors.Is(all.chat.err, whatsapp.ErrTimeout):
		return works + "On the last hop, from the origin to WhatsApp, nothing came back in time."
	}
	return works + "On the last hop, from the origin to WhatsApp, something else than WhatsApp answered, or the connection was cut."
}

// plainly is a proof's error without what belongs to programs.
func plainly(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return whatsapp.ErrTimeout.Error()
	case errors.Is(err, whatsapp.ErrNotWhatsApp), errors.Is(err, whatsapp.ErrSignature), errors.Is(err, whatsapp.ErrClosed),
		errors.Is(err, whatsapp.ErrTimeout), errors.Is(err, whatsapp.ErrUnreachable), errors.Is(err, whatsapp.ErrNotAllowed),
		errors.Is(err, whatsapp.ErrNotPublic):
		return err.Error()
	}
	return fmt.Sprintf("failed: %v", err)
}

// measureRTT waits for the answer to the client's first ping, for a moment.
func measureRTT(ctx context.Context, c *client.Client) time.Duration {
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
