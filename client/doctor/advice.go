package doctor

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"culvert/client"
	"culvert/internal/term"
	"culvert/internal/whatsapp"
	"culvert/internal/wire"
)

// adviceFront is for a hop of a front: most of the errors there say what to try.
func adviceFront(err error) (problem, try string) {
	if errors.Is(err, client.ErrNotLetIn) {
		return "the front shows its website instead of letting us in",
			"the origin behind it may be down, so try again later; else the link is revoked or out of date, so ask for a new one"
	}
	return splitHint(term.OneLine(err))
}

// adviceClock is for a front that shows its website to a machine whose clock is
// further off than tokens allow for.
func adviceClock(ahead time.Duration) (problem, try string) {
	return fmt.Sprintf("this machine's clock is wrong by %s, which is more than can be allowed for", ahead.Abs()), "set the clock"
}

// splitHint takes "what is wrong; what to try" apart.
func splitHint(text string) (problem, try string) {
	if parts := strings.Split(text, "; "); len(parts) == 2 {
		return parts[0], parts[1]
	}
	return text, ""
}

// adviceRelay is for someone at the near end; why is what the origin said.
func adviceRelay(p Proof, why wire.Reason) (problem, try string) {
	switch why {
	case wire.Unreachable:
		return "the origin cannot reach WhatsApp", "its operator can see why there, by culvert doctor --direct"
	case wire.Refused:
		return "the origin does not take this link's keys", "the link is revoked or for another origin: ask for a new one"
	case wire.Unknown, wire.Expired:
		return "the origin was restarted, or several share the front", "try again"
	case wire.Busy:
		return "the origin is full", "try again later, or tell its operator"
	case wire.NotAllowed:
		return "the origin does not allow this host", "its operator should install the current version"
	}
	switch {
	case errors.Is(p.Err, whatsapp.ErrSignature):
		return p.Problem(), "do not use this origin: someone at or behind it imitates WhatsApp"
	case errors.Is(p.Err, whatsapp.ErrNotWhatsApp):
		return p.Problem(), "the origin's network answers in WhatsApp's place: tell its operator"
	}
	return p.Problem(), "try again; if it stays so, tell the origin's operator to run culvert doctor --direct there"
}

// adviceDirect is for someone at the origin.
func adviceDirect(p Proof, _ Hop) (problem, try string) {
	switch {
	case errors.Is(p.Err, whatsapp.ErrSignature):
		return p.Problem(), "someone between this machine and WhatsApp imitates it: put the origin elsewhere"
	case errors.Is(p.Err, whatsapp.ErrNotWhatsApp):
		return p.Problem(), "this network answers in WhatsApp's place (a login page?): put the origin elsewhere"
	}
	return p.Problem(), "see that this machine is on the internet, that names resolve, and that outgoing TCP to ports 443 and 5222 is open"
}
