package front

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"culvert/client/look"
	"culvert/internal/dial"
	"culvert/internal/ech"
	"culvert/internal/link"
)

// Way is how far an attempt came.
type Way struct {
	Took  []time.Duration     // by each step that was passed, in their order
	State tls.ConnectionState // zero unless StepTLS was passed
	Small bool                // StepTLS was passed by a ClientHello without ML-KEM, after larger ones were reset
}

// Open reaches f and has enter take the last step: a verified TLS connection to an
// address of f becomes a T. An address is good, and remembered, only once enter has
// succeeded there. While it is tried the next one is not, unless it fails, or nothing
// is heard of it for several of its round trips.
//
// An error of enter that is an *Error has the next address tried; any other is what the
// front says, and ends Open. enter closes the connection if it fails. The way is that of
// the attempt that succeeded or came furthest. The error is what those say that came as
// far: an *Error, or what enter returned.
func Open[T io.Closer](ctx context.Context, d *Dialer, f link.Front, enter func(context.Context, *Conn) (T, error)) (T, Way, error) {
	return attempt(ctx, &opening{d: d, f: f, kind: d.kind, wrap: func(c net.Conn) net.Conn { return c }}, enter)
}

// OpenPage reaches f as Open does, by a connection that looks as those for pages do, and has wrap stand beneath
// TLS. What Open will do does not depend on how it went: a network may let sockets pass and no pages.
func OpenPage(ctx context.Context, d *Dialer, f link.Front, wrap func(net.Conn) net.Conn) (*Conn, error) {
	o := &opening{d: d, f: f, kind: look.Page, wrap: wrap, isPage: true}
	conn, _, err := attempt(ctx, o, func(_ context.Context, c *Conn) (*Conn, error) { return c, nil })
	return conn, err
}

// attempt is Open by what o says.
func attempt[T io.Closer](ctx context.Context, o *opening, enter func(context.Context, *Conn) (T, error)) (T, Way, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	d, f := o.d, o.f
	o.memory, o.cancel = d.memory(f), cancel
	o.worn = o.memory.current()
	good, took := o.memory.best()
	groups, err := d.groupsOf(f, good, min(2*took, goodAtMost))
	if err != nil {
		var none T
		return none, Way{}, Failed(StepConnect, err)
	}
	won, err := dial.Use(ctx, d.hosts(o.memory), groups, func(ctx context.Context, r *dial.Reached) (opened[T], error) {
		return through(ctx, o, r, enter)
	}, func(late opened[T]) { late.value.Close() })
	if err != nil {
		return won.value, o.furthest, o.failure(err)
	}
	if !o.isPage {
		o.memory.remember(won.to, won.way.Took[0], groups[won.to.Group].Reserve != nil)
	}
	return won.value, won.way, nil
}

// opened is what an attempt of Open's makes.
type opened[T any] struct {
	value T
	to    dial.Candidate
	way   Way
}

// through is one attempt: from a connection to a T.
func through[T any](ctx context.Context, o *opening, r *dial.Reached, enter func(context.Context, *Conn) (T, error)) (won opened[T], err error) {
	won.to, won.way.Took = r.To, []time.Duration{r.Took}
	conn, err := o.secure(ctx, r, &won.way)
	if err != nil {
		return won, o.failed(won.way, err)
	}
	began := time.Now()
	if won.value, err = enter(ctx, conn); err != nil {
		return won, o.failed(won.way, err)
	}
	won.way.Took = append(won.way.Took, time.Since(began))
	return won, nil
}

// opening is what the attempts of one Open share.
type opening struct {
	d      *Dialer
	f      link.Front
	kind   look.Kind
	wrap   func(net.Conn) net.Conn // stands beneath TLS
	isPage bool                    // nothing is learned
	memory *frontMemory
	worn   worn // what all of the attempts look like, though another Open may turn to another look meanwhile
	cancel context.CancelFunc

	mu       sync.Mutex // guards the following
	furthest Way        // of those that failed
	refusal  error      // what the front said
	small    bool       // a smaller ClientHello was reset, too
}

// A silent address is one of which nothing is heard for several round trips, of which
// connecting takes one. A lost packet is sent again within a second; a front in
// trouble may need more to look for the origin than to shake hands.
const (
	silentTrips    = 3
	silentTLS      = time.Second
	silentUpgrade  = 2 * time.Second
	silentAtLatest = 2500 * time.Millisecond
)

// goodAtMost bounds the head start of the address that was good last, which is twice what
// connecting to it took.
const goodAtMost = 2 * time.Second

// silence is how long nothing may be heard of r's address before the next is tried.
func silence(r *dial.Reached, least time.Duration) time.Duration {
	return min(max(silentTrips*r.Took, least), silentAtLatest)
}

// secure makes TLS of r, with a ClientHello that is small where whole ones are reset.
func (o *opening) secure(ctx context.Context, r *dial.Reached, way *Way) (*Conn, error) {
	small, began := o.memory.isSmall(), time.Now()
	r.Expect(silence(r, silentTLS))
	by := o.memory.encryptsBy()
	conn, err := o.shake(ctx, r.Conn, small, by)
	if err != nil {
		if o.memory.notEncrypted(by, err) {
			r.Again()
		} else {
			o.learnReset(r, small, err)
		}
		return nil, Failed(StepTLS, err)
	}
	if !o.isPage {
		o.memory.worked(o.worn, small)
	}
	r.Proven()
	way.Took = append(way.Took, time.Since(began))
	way.State, way.Small = conn.ConnectionState(), small
	r.Expect(silence(r, silentUpgrade))
	return conn, nil
}

// learnReset has an address tried again, at last by a smaller ClientHello, whose
// handshake was reset.
func (o *opening) learnReset(r *dial.Reached, small bool, err error) {
	switch {
	case errors.Is(err, look.ErrTicket):
		r.Again()
	case o.isPage, !isReset(err):
	case o.memory.wasReset(small):
		r.Again()
	default:
		o.mu.Lock()
		o.small = true
		o.mu.Unlock()
	}
}

// isReset reports whether a handshake ended because the connection did: nobody
// said why, and it was no deadline of ours.
func isReset(err error) bool {
	var op *net.OpError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case errors.As(err, &op):
		return (op.Op == "read" || op.Op == "write") && !op.Timeout()
	}
	return wasCut(err)
}

// failed notes how far an attempt came, and ends the others if the front itself said no.
func (o *opening) failed(way Way, err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(way.Took) > len(o.furthest.Took) {
		o.furthest = way
	}
	var step *Error
	if !errors.As(err, &step) && o.refusal == nil {
		o.refusal = err
		o.cancel()
	}
	return err
}

// failure is what the attempts say that came furthest, and why resolvers did not help.
func (o *opening) failure(err error) error {
	if o.small {
		o.memory.smallFailed()
	}
	if o.refusal != nil {
		return o.refusal
	}
	step, causes, asked := StepConnect, []error(nil), []error(nil)
	for _, cause := range dial.Causes(err) {
		var u *unresolvedError
		if errors.As(cause, &u) {
			asked = append(asked, u.err)
			continue
		}
		at, why := StepConnect, cause
		if e, ok := cause.(*Error); ok {
			at, why = e.step, e.err
		}
		if at.index() > step.index() {
			step, causes = at, nil
		}
		if at == step {
			causes = append(causes, why)
		}
	}
	if len(asked) > 0 {
		causes = append(causes, &unresolvedError{errors.Join(asked...)})
	}
	failed := &Error{step, errors.Join(causes...)}
	if !o.isPage {
		o.learnBan(failed)
	}
	return failed
}

// shake makes TLS of raw, a connection to the front, with a name that is encrypted by a configuration, if there is one, and closes raw if that fails.
func (o *opening) shake(ctx context.Context, raw net.Conn, small bool, by ech.Config) (*Conn, error) {
	if o.d.Wrap != nil {
		raw = o.d.Wrap(raw)
	}
	raw = o.wrap(raw)
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn, err := o.worn.look.Handshake(ctx, raw, look.Config{
		Kind: o.kind, Name: o.f.ServerName(), Small: small, Verify: o.d.verifier(o.f), Tickets: o.worn.tickets,
		ECH: by, Roots: o.d.Roots, Now: o.d.Now,
	})
	if err != nil {
		raw.Close()
	}
	return conn, err
}
