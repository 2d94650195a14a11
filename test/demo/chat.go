package demo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"culvert/internal/term"
	"culvert/test/app"
)

// exchange is what came of a chat connection.
type exchange struct {
	trips []time.Duration
	err   error
}

// chat exchanges messages over the app's listener.
func (d *Demo) chat(ctx context.Context) error {
	d.Out.Title("Chat through the relay, one message after another")
	start := time.Now()
	conn, err := d.Relay.DialChat(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	trips, err := app.Exchange(ctx, conn, d.Relay.Trust.Root, messages)
	if err != nil {
		return err
	}
	d.row("", "messages", "half within", "99% within", "in all")
	d.row("there and back", fmt.Sprint(len(trips)),
		term.Took(percentile(trips, 50)), term.Took(percentile(trips, 99)), term.Took(time.Since(start)))
	return nil
}

// talk is a chat connection that goes on until it is told to end.
type talk struct {
	stop context.CancelFunc
	done chan exchange
}

// chatBeside talks over one connection while other things happen.
func (d *Demo) chatBeside(ctx context.Context) *talk {
	ctx, cancel := context.WithCancel(ctx)
	t := &talk{stop: cancel, done: make(chan exchange, 1)}
	go func() { t.done <- d.talk(ctx) }()
	return t
}

func (d *Demo) talk(ctx context.Context) exchange {
	conn, err := d.Relay.DialChat(ctx)
	if err != nil {
		return exchange{err: err}
	}
	defer conn.Close()
	trips, err := app.Exchange(ctx, conn, d.Relay.Trust.Root, math.MaxInt)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return exchange{trips, err}
}

// end stops talking; no more than the message under way is lost.
func (t *talk) end() exchange {
	t.stop()
	return <-t.done
}
