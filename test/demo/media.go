package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"culvert/internal/term"
	"culvert/internal/whatsapp"
	"culvert/test/local"
	"culvert/test/standin"
)

// transfer is a download or an upload that was cut on the way.
type transfer struct {
	bytes       int64
	took, pause time.Duration
	cuts, lost  int // how often, and how many carriers died in all
}

// media downloads and uploads over the app's listener, and cuts all carriers
// twice each time.
func (d *Demo) media(ctx context.Context) (down, up transfer, err error) {
	d.Out.Title("Media through the relay, every carrier cut at 1/3 and at 2/3")
	d.row("", "bytes", "rate", "carriers cut", "pause")
	want, err := patternHash(d.Size)
	if err != nil {
		return down, up, err
	}
	app := newMediaApp(d.Relay)
	defer app.close()
	if down, err = app.download(ctx, d.Size, want); err != nil {
		return down, up, fmt.Errorf("download: %w", err)
	}
	d.transferRow("download, hash right", down)
	if up, err = app.upload(ctx, d.Size, want); err != nil {
		return down, up, fmt.Errorf("upload: %w", err)
	}
	d.transferRow("upload, hash right", up)
	if n := app.dials.Load(); n != 1 {
		return down, up, fmt.Errorf("the app had to connect %d times", n)
	}
	return down, up, nil
}

func (d *Demo) transferRow(name string, t transfer) {
	d.row(name, term.Size(uint64(t.bytes)), term.Rate(uint64(t.bytes), t.took), fmt.Sprint(t.lost), term.Took(t.pause))
}

func patternHash(n int64) (string, error) {
	sum := sha256.New()
	_, err := io.Copy(sum, standin.Pattern(n))
	return hex.EncodeToString(sum.Sum(nil)), err
}

// mediaApp is an app that keeps one connection for media.
type mediaApp struct {
	http.Client
	transport *http.Transport
	cut       func() int
	dials     atomic.Int32
}

func newMediaApp(r *local.Relay) *mediaApp {
	a := &mediaApp{cut: r.Carriers.Cut}
	a.transport = &http.Transport{
		TLSClientConfig: mediaTLS(r.Trust),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			a.dials.Add(1)
			return r.Near.DialMedia(ctx)
		},
	}
	a.Transport = a.transport
	return a
}

func (a *mediaApp) close() { a.transport.CloseIdleConnections() }

// errBytes means that what arrived is not what was sent.
var errBytes = errors.New("bytes differ from what was sent")

func (a *mediaApp) download(ctx context.Context, size int64, want string) (transfer, error) {
	url := fmt.Sprintf("https://%s/media/%d", whatsapp.MediaHost, size)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return transfer{}, err
	}
	start := time.Now()
	resp, err := a.Do(req)
	if err != nil {
		return transfer{}, err
	}
	defer resp.Body.Close()
	body, sum := newWatched(resp.Body, size, a.cut), sha256.New()
	if _, err := io.Copy(sum, body); err != nil {
		return transfer{}, err
	}
	if hex.EncodeToString(sum.Sum(nil)) != want {
		return transfer{}, errBytes
	}
	return body.transfer(time.Since(start)), nil
}

func (a *mediaApp) upload(ctx context.Context, size int64, want string) (transfer, error) {
	body := newWatched(standin.Pattern(size), size, a.cut)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+whatsapp.MediaHost+"/upload", body)
	if err != nil {
		return transfer{}, err
	}
	req.ContentLength = size
	start := time.Now()
	resp, err := a.Do(req)
	if err != nil {
		return transfer{}, err
	}
	defer resp.Body.Close()
	var got standin.Uploaded
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<10)).Decode(&got); err != nil {
		return transfer{}, fmt.Errorf("read answer: %w", err)
	}
	if got.Bytes != size || got.SHA256 != want {
		return transfer{}, errBytes
	}
	return body.transfer(time.Since(start)), nil
}

// watched is a body that cuts all carriers when a third and when two thirds of
// it have passed, and notes the longest time between two reads after that.
type watched struct {
	io.Reader
	cut  func() int
	size int64

	seen       int64
	cuts, lost int
	last       time.Time
	pause      time.Duration
}

func newWatched(r io.Reader, size int64, cut func() int) *watched {
	return &watched{Reader: r, cut: cut, size: size}
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

func (w *watched) transfer(took time.Duration) transfer {
	return transfer{bytes: w.seen, took: took, pause: w.pause, cuts: w.cuts, lost: w.lost}
}
