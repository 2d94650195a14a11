package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// bound makes reads and writes of conn fail when ctx ends and after limit at
// the latest. Call release when done: it lifts the bound.
func bound(ctx context.Context, conn net.Conn, limit time.Duration) (release func()) {
	deadline := time.Now().Add(limit)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	conn.SetDeadline(deadline)
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		conn.SetDeadline(time.Unix(1, 0))
		close(fired)
	})
	return func() {
		if !stop() {
			<-fired
		}
		conn.SetDeadline(time.Time{})
	}
}

// explain turns an error of a connection into one that a person can act on,
// without the addresses that the system's errors carry.
func explain(ctx context.Context, err error) error {
	var netErr net.Error
	switch {
	case err == nil || errors.Is(err, ErrNotWhatsApp) || errors.Is(err, ErrSignature):
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case errors.Is(err, errFrameSize):
		return fmt.Errorf("%w: %w", ErrNotWhatsApp, errFrameSize)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return ErrTimeout
	}
	return ErrClosed
}
