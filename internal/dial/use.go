package dial

import (
	"context"
	"errors"
	"net"
	"time"
)

// Reached is a connection that was made for Use, which belongs to whom it is handed.
type Reached struct {
	net.Conn
	To   Candidate
	Took time.Duration // to look names up, unless that was done, and to connect

	search *search
	extend extend
}

// Expect says that the connection is likely to be good: the next is made no earlier
// than so long from now, if this one has not failed by then. Without it nothing
// else is tried while it is used.
func (r *Reached) Expect(answer time.Duration) { r.extend(answer) }

// Again has the same address tried once more, after all others.
func (r *Reached) Again() { r.search.again(r.To) }

// Proven says that the address is the host's, so that no Reserve need be asked, whatever
// becomes of the connection.
func (r *Reached) Proven() { r.search.proven(r.To) }

// Use connects to the endpoints of groups as Dial does, and has use make something of
// the first connection; if it fails, or takes longer than was expected, of the next one,
// too. It returns what the first use to succeed returned, and has waited for the others
// by then and given to drop what they made. use closes the connection if it fails, and
// returns soon after its context ends, which ends for the winner, too.
//
// The error joins those of use and of connecting, as Dial's, and the context's; see
// Causes.
func Use[T any](ctx context.Context, h *Hosts, groups []Group, use func(context.Context, *Reached) (T, error), drop func(T)) (T, error) {
	u := &user[T]{search: h.search(ctx, groups), use: use, turn: make(chan struct{}, 1)}
	u.search.listen() // what is made of a connection may have to say something of its address
	defer u.search.finish()
	won, err := race(ctx, u, endless, u.try, func(late result[struct{}, T]) {
		if late.err == nil {
			drop(late.value)
		}
	})
	return won.value, telling(err)
}

// endless is the head start of an attempt that is still connecting, which is a
// race of its own.
func endless(struct{}) time.Duration { return forever }

// user is the source of a race whose attempts take their connections from one search.
type user[T any] struct {
	search *search
	use    func(context.Context, *Reached) (T, error)
	turn   chan struct{} // has room for the attempt that is connecting
	spent  bool          // the search had nothing left; belongs to whoever has the turn
}

// poll asks the search for more unless it had nothing left, and nothing has come back
// to it since.
func (u *user[T]) poll(bool) state {
	select {
	case u.turn <- struct{}{}:
	default: // whoever connects will tell
		return state{wait: forever}
	}
	over := u.spent && len(u.search.answers) == 0
	<-u.turn
	return state{ready: !over, over: over, wait: forever}
}

func (u *user[T]) news() <-chan func() { return nil }

func (u *user[T]) pop() struct{} { return struct{}{} }

func (u *user[T]) try(ctx context.Context, _ struct{}, more extend) (none T, err error) {
	r := &Reached{search: u.search, extend: more}
	began := time.Now()
	u.turn <- struct{}{}
	r.Conn, r.To, err = u.search.connectNext(ctx)
	u.spent = errors.Is(err, ErrNothing)
	<-u.turn
	if err != nil {
		return none, err
	}
	r.Took = time.Since(began)
	return u.use(ctx, r)
}

// telling is err without the attempts for which there was nothing left, unless it
// tells nothing else.
func telling(err error) error {
	var all []error
	for _, cause := range Causes(err) {
		if cause != ErrNothing {
			all = append(all, cause)
		}
	}
	if len(all) == 0 {
		return err
	}
	return errors.Join(all...)
}
