package doctor

import (
	"context"
	"errors"
	"time"

	"culvert/client"
	"culvert/client/front"
	"culvert/internal/link"
)

// decoy is a name that is nobody's (RFC 2606), for fronts that send none.
const decoy = "www.example.com"

// namelessLimit bounds a handshake by which we see whether the name is the reason.
const namelessLimit = 6 * time.Second

// subject is one front that is examined.
type subject struct {
	number int // from 1
	front  link.Front
	dialer *front.Dialer
	tally  *tally
}

// whyNoTLS says why a handshake with the front failed.
func (p *subject) whyNoTLS(ctx context.Context, err error) Cause {
	cause := causeIn(byTLS, front.SymptomOf(err))
	if cause != TLSSilent && cause != TLSReset || !p.answersOtherwise(ctx) {
		return cause
	}
	if cause == TLSSilent {
		return NameSilent
	}
	return NameReset
}

// answersOtherwise reports whether the front's address answers a handshake that does
// not name the front.
func (p *subject) answersOtherwise(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, namelessLimit)
	defer cancel()
	f := p.front
	f.Verify, f.SNI, f.NoSNI, f.ECH = f.VerifyName(), "", true, nil
	if p.front.ServerName() == "" {
		f.SNI, f.NoSNI = decoy, false
	}
	conn, _, err := front.Open(ctx, p.dialer, f, shakeHands)
	if err == nil {
		conn.Close()
		return true
	}
	var step *front.Error
	s := front.SymptomOf(err)
	return errors.As(err, &step) && step.Step() == front.StepTLS && s != front.Silence && s != front.Cut
}

// shakeHands is the last step to a front of which no more is wanted.
func shakeHands(_ context.Context, conn *front.Conn) (*front.Conn, error) { return conn, nil }

// whyFailed says why a hop failed that client.Probe took last.
func (p *subject) whyFailed(ctx context.Context, seen client.Probed) Cause {
	failed := seen.Hops[len(seen.Hops)-1]
	switch s := front.SymptomOf(failed.Err); {
	case failed.Name == client.HopNetwork:
		return causeIn(byTCP, s)
	case failed.Name == client.HopTLS:
		return p.whyNoTLS(ctx, failed.Err)
	case errors.Is(failed.Err, client.ErrNotLetIn) && seen.Ahead.Abs() > client.FrontOffset:
		return Clock
	case seen.Status == 0:
		return p.whyUnanswered(ctx, s)
	}
	return p.whyRefused(ctx, seen.Status)
}

// whyUnanswered says why an upgrade got no answer, by asking for a page.
func (p *subject) whyUnanswered(ctx context.Context, s front.Symptom) Cause {
	cause := causeIn(byUpgrade, s)
	if cause == UpgradeSilent && !p.front.Gateway && p.ask(ctx, weight{}) != 0 {
		return Buffers
	}
	return cause
}

// The connections that a front may be asked for, those before among them, and how long
// one may take then.
const (
	mostConnections = 6
	connectionLimit = 5 * time.Second
)

// countConnections makes some new connections to a front that has answered, one after
// another. limited says that the one after n within a minute was not answered.
func (p *subject) countConnections(ctx context.Context) (n int, limited bool) {
	for p.tally.made(time.Now()) < mostConnections {
		one, cancel := context.WithTimeout(ctx, connectionLimit)
		conn, _, err := front.Open(one, p.dialer, p.front, shakeHands)
		cancel()
		if err != nil {
			return p.tally.answered(time.Now()), ctx.Err() == nil && p.isLimited(err)
		}
		conn.Close()
	}
	return 0, false
}

// isLimited reports whether err, of a front that has answered lately, is that of a new
// connection that nobody answered.
func (p *subject) isLimited(err error) bool {
	var step *front.Error
	if !errors.As(err, &step) || step.Step() == front.StepUpgrade {
		return false
	}
	s := front.SymptomOf(step)
	return s == front.Silence || s == front.Cut || s == front.Refusal
}
