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

	"culvert/internal/dial"
)

// lookup gives addresses of one family; network is ip4 or ip6.
func (u *Upstream) lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	find := u.LookupIP
	if find == nil {
		find = net.DefaultResolver.LookupNetIP
	}
	addrs, err := find(ctx, network, host)
	other := func(a netip.Addr) bool { return a.Unmap().Is4() != (network == "ip4") }
	return slices.DeleteFunc(slices.Clone(addrs), other), err
}

// allow says whether a may be dialled.
func (u *Upstream) allow(a netip.Addr) error {
	if u.AllowPrivate || Public(a) {
		return nil
	}
	return ErrNotPublic
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
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return ErrNotPublic
	}
	return u.allow(a.Addr())
}

// How far an attempt came.
const (
	failedName = iota
	failedLookup
	failedRule
	failedTime
	failedDial
)

// stage is how far the attempt came that ended with err.
func stage(err error) int {
	switch {
	case err == dial.ErrNothing:
		return failedName
	case errors.As(err, new(*dial.LookupError)):
		return failedLookup
	case errors.Is(err, ErrNotPublic):
		return failedRule
	case err == context.DeadlineExceeded:
		return failedTime
	}
	return failedDial
}

// unreachable says in words of ours why all attempts failed. Of many errors that
// err joins, it reports the first of those that came furthest.
func unreachable(err error) error {
	causes := dial.Causes(err)
	cause := slices.MaxFunc(causes, func(a, b error) int { return stage(a) - stage(b) })
	switch stage(cause) {
	case failedName:
		return fmt.Errorf("%w: its name has no address", ErrUnreachable)
	case failedLookup:
		return fmt.Errorf("%w: its name does not resolve", ErrUnreachable)
	case failedRule:
		return ErrNotPublic
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, anonymous(cause))
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
