//go:build !linux

package relay

import (
	"errors"
	"syscall"
)

// lot is Linux's: elsewhere every idle carrier waits in a goroutine of its own.
type lot struct{}

type place struct{}

func (*lot) enter(syscall.RawConn, *place, func()) error { return errors.ErrUnsupported }

func (*lot) leave(*place) {}

func (*lot) close() {}
