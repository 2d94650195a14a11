package demo

import (
	"context"
	"fmt"
	"io"
	"time"

	"culvert/internal/term"
	"culvert/test/app"
)

// media downloads and uploads over the app's listener, and cuts all carriers
// twice each time.
func (d *Demo) media(ctx context.Context) (down, up *watched, err error) {
	d.Out.Title("Media through the relay, every carrier cut at 1/3 and at 2/3")
	d.row("", "bytes", "rate", "carriers cut", "pause")
	m := app.NewMedia(d.Relay.Trust.CAs, d.Relay.DialMedia)
	defer m.Close()
	if down, err = d.transfer(ctx, "download", m.Download); err != nil {
		return nil, nil, err
	}
	if up, err = d.transfer(ctx, "upload", m.Upload); err != nil {
		return nil, nil, err
	}
	if n := m.Dials(); n != 1 {
		return nil, nil, fmt.Errorf("the app had to connect %d times", n)
	}
	return down, up, nil
}

// transfer moves Size bytes one way, which may fail by one wrong byte, and
// writes a line about it.
func (d *Demo) transfer(ctx context.Context, name string,
	move func(ctx context.Context, size int64, pass func(io.Reader) io.Reader) error,
) (*watched, error) {
	w, start := &watched{size: d.Size, cut: d.Relay.Carriers.Cut}, time.Now()
	err := move(ctx, d.Size, func(r io.Reader) io.Reader { w.Reader = r; return w })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	bytes := uint64(w.seen)
	d.row(name+", hash right", term.Size(bytes), term.Rate(bytes, time.Since(start)), fmt.Sprint(w.lost), term.Took(w.pause))
	return w, nil
}

// watched is a body that cuts all carriers when a third and when two thirds of
// it have passed, and notes the longest time between two reads after that.
type watched struct {
	io.Reader
	cut  func() int // cuts all carriers, and says how many there were
	size int64

	seen       int64
	cuts, lost int // how often carriers were cut, and how many in all
	last       time.Time
	pause      time.Duration
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	now := time.Now()
	if w.cuts > 0 {
		w.pause = max(w.pause, now.Sub(w.last))
	}
	w.last = now
	if w.seen += int64(n); w.cuts < 2 && w.seen*3 > int64(w.cuts+1)*w.size {
		w.cuts++
		w.lost += w.cut()
	}
	return n, err
}
