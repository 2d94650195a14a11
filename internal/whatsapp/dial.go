package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
)

func (u *Upstream) lookup(ctx context.Context, q question) ([]netip.Addr, error) {
	find, network := u.LookupIP, "ip6"
	if find == nil {
		find = net.DefaultResolver.LookupNetIP
	}
	if q.v4 {
		network = "ip4"
	}
	addrs, err := find(ctx, network, q.host)
	other := func(a netip.Addr) bool { return a.Unmap().Is4() != q.v4 }
	return slices.DeleteFunc(slices.Clone(addrs), other), err
}

func (u *Upstream) dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	if u.DialAddr != nil {
		return u.DialAddr(ctx, "tcp", addr.String())
	}
	d := net.Dialer{ControlContext: u.control} // its DialTCP binds a port first, and those run out
	return d.DialContext(ctx, "tcp", addr.String())
}

// control looks at the very address that the system is about to connect to, so
// nothing that happened to a name before matters.
func (u *Upstream) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	if u.AllowPrivate {
		return nil
	}
	if a, err := netip.ParseAddrPort(address); err != nil || !Public(a.Addr()) {
		return ErrNotPublic
	}
	return nil
}

// How far an attempt came. Of many failures the furthest is reported.
const (
	failedLookup = 1 + iota
	failedRule
	failedTime
	failedDial
)

// failure is the most telling one so far.
type failure struct {
	stage int
	cause error
	ended error // the context's, if the caller gave up
}

func (f *failure) add(stage int, err error) {
	if stage == failedTime && errors.Is(err, context.Canceled) {
		f.ended = err
	}
	if stage > f.stage {
		f.stage, f.cause = stage, err
	}
}

func (f *failure) err() error {
	switch {
	case f.ended != nil:
		return f.ended
	case errors.Is(f.cause, ErrNotPublic):
		return ErrNotPublic
	case f.stage == failedLookup:
		return fmt.Errorf("%w: its name does not resolve", ErrUnreachable)
	case f.stage == 0:
		return fmt.Errorf("%w: its name has no address", ErrUnreachable)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, anonymous(f.cause))
}

// anonymous is err without the names and addresses that package net writes into
// its errors.
func anonymous(err error) error {
	var (
		system *os.SyscallError
		errno  syscall.Errno
		netErr net.Error
	)
	switch {
	case errors.As(err, &system):
		return system
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return os.ErrDeadlineExceeded
	}
	return errors.New("cannot be dialled")
}
