package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync/atomic"
	"time"

	"culvert/test/app"
	"culvert/test/standin"
)

// user is what WhatsApp's app does, through a client's ports.
type user struct {
	chatAt, mediaAt string
	standIn         *standin.Server
	size            int64        // bytes of media each way
	moved           atomic.Int64 // bytes of media, of both
}

// chat sends messages over one connection, one after another, until ctx ends,
// and says how many came back as they were and how long the slowest took.
func (a *user) chat(ctx context.Context) (n int, slowest time.Duration, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", a.chatAt)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	trips, err := app.Exchange(ctx, conn, a.standIn.Root(), math.MaxInt)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	for _, t := range trips {
		slowest = max(slowest, t)
	}
	return len(trips), slowest, err
}

// media downloads and uploads at once, each over one connection of its own that
// has to last.
func (a *user) media(ctx context.Context) error {
	errs := make(chan error, 2)
	transfers := map[string]func(*app.Media, context.Context, int64, func(io.Reader) io.Reader) error{
		"download": (*app.Media).Download, "upload": (*app.Media).Upload,
	}
	for name, do := range transfers {
		go func() {
			err := a.once(ctx, do)
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
			errs <- err
		}()
	}
	return errors.Join(<-errs, <-errs)
}

// once fails if more than one connection was needed.
func (a *user) once(ctx context.Context, do func(*app.Media, context.Context, int64, func(io.Reader) io.Reader) error) error {
	m := app.NewMedia(a.standIn.CAs(), app.Dial(a.mediaAt))
	defer m.Close()
	err := do(m, ctx, a.size, a.counted)
	if n := m.Dials(); n != 1 {
		err = errors.Join(err, fmt.Errorf("the app had to connect %d times", n))
	}
	return err
}

// counted counts what is read from r.
func (a *user) counted(r io.Reader) io.Reader { return counter{r, &a.moved} }

type counter struct {
	io.Reader
	n *atomic.Int64
}

func (c counter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n.Add(int64(n))
	return n, err
}
