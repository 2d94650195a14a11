//go:build linux

package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"culvert/test/app"
	"culvert/test/standin"
)

// flowing is how many bytes show that media comes by a way that is free: the first few
// pass anywhere.
const flowing = 50_000

// transfer is a download or an upload of media that goes on, or has ended.
type transfer struct {
	stop context.CancelFunc
	done chan struct{}

	arrivals // its mu guards the following
	began    time.Time
	flows    time.Duration // until enough had come to say that it flows; 0: it has not
	took     time.Duration
	err      error
}

// download begins one that ends after limit, if it has not ended before.
func (w *world) download(size int64, limit time.Duration) *transfer {
	return w.transfer(limit, func(ctx context.Context, m *app.Media, t *transfer) error {
		return m.Download(ctx, size, t.watch)
	})
}

// upload counts the bytes that the client has taken, of which many may not have
// arrived before it ends.
func (w *world) upload(size int64, limit time.Duration) *transfer {
	return w.transfer(limit, func(ctx context.Context, m *app.Media, t *transfer) error {
		return m.Upload(ctx, size, t.watch)
	})
}

func (w *world) transfer(limit time.Duration, do func(context.Context, *app.Media, *transfer) error) *transfer {
	ctx, stop := context.WithTimeout(w.ctx, limit)
	t := &transfer{stop: stop, done: make(chan struct{}), began: time.Now()}
	m := app.NewMedia(w.standIn.CAs(), func(context.Context) (net.Conn, error) { return w.path.Client.Dial(mediaIn) })
	go func() {
		defer close(t.done)
		defer stop()
		defer m.Close()
		err := do(ctx, m, t)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.took, t.err = time.Since(t.began), err
		if ctx.Err() != nil && err != nil {
			t.err = ctx.Err()
		}
	}()
	return t
}

// end ends the transfer if it goes on, and waits for that.
func (t *transfer) end() *transfer {
	t.stop()
	return t.wait()
}

func (t *transfer) wait() *transfer {
	<-t.done
	return t
}

// inexact is the error of a transfer that brought other bytes than were sent.
func (t *transfer) inexact() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if errors.Is(t.err, standin.ErrPattern) || errors.Is(t.err, app.ErrMedia) {
		return t.err
	}
	return nil
}

// progress is how many bytes have come, and how long it is since the last did.
func (t *transfer) progress() (bytes int64, since time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last.IsZero() {
		return 0, time.Since(t.began)
	}
	return t.bytes, time.Since(t.last)
}

func (t *transfer) watch(r io.Reader) io.Reader { return watched{r, t} }

type watched struct {
	io.Reader
	t *transfer
}

func (w watched) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	if n > 0 {
		w.t.came(n, time.Now())
	}
	return n, err
}

func (t *transfer) came(n int, now time.Time) {
	t.arrivals.came(n, now)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.flows == 0 && t.bytes >= flowing {
		t.flows = now.Sub(t.began)
	}
}

// arrivals is what has come to an app, or to a server.
type arrivals struct {
	mu    sync.Mutex    // guards the following
	last  time.Time     // when bytes came
	gap   time.Duration // the longest time without bytes, after the first
	bytes int64
}

func (a *arrivals) read() (bytes int64, gap time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bytes, a.gap
}

func (a *arrivals) came(n int, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.last.IsZero() {
		a.gap = max(a.gap, now.Sub(a.last))
	}
	a.last, a.bytes = now, a.bytes+int64(n)
}

// at counts what comes to whom a listener accepts.
func (a *arrivals) at(l net.Listener) net.Listener { return arriving{l, a} }

type arriving struct {
	net.Listener
	*arrivals
}

func (l arriving) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return arrivingConn{c, l.arrivals}, nil
}

type arrivingConn struct {
	net.Conn
	*arrivals
}

func (c arrivingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.came(n, time.Now())
	}
	return n, err
}
