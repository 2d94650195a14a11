package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"culvert/internal/whatsapp"
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

// errMedia means that what arrived is not what was sent.
var errMedia = errors.New("the bytes differ from what was sent")

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
	for name, do := range map[string]func(context.Context, *http.Client) error{"download": a.download, "upload": a.upload} {
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
func (a *user) once(ctx context.Context, do func(context.Context, *http.Client) error) error {
	var dials atomic.Int32
	t := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{ServerName: whatsapp.MediaHost, RootCAs: a.standIn.CAs()},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			dials.Add(1)
			var d net.Dialer
			return d.DialContext(ctx, "tcp", a.mediaAt)
		},
	}
	err := do(ctx, &http.Client{Transport: t})
	if n := dials.Load(); n != 1 {
		err = errors.Join(err, fmt.Errorf("the app had to connect %d times", n))
	}
	return err
}

func (a *user) download(ctx context.Context, c *http.Client) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%s/media/%d", whatsapp.MediaHost, a.size), nil)
	if err != nil {
		return err
	}
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return standin.CheckPattern(a.counted(res.Body), a.size)
}

func (a *user) upload(ctx context.Context, c *http.Client) error {
	sum := sha256.New()
	body := a.counted(io.TeeReader(standin.Pattern(a.size), sum))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+whatsapp.MediaHost+"/upload", body)
	if err != nil {
		return err
	}
	r.ContentLength = a.size
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var got standin.Uploaded
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<10)).Decode(&got); err != nil {
		return err
	}
	if got.Bytes != a.size || got.SHA256 != hex.EncodeToString(sum.Sum(nil)) {
		return errMedia
	}
	return nil
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
