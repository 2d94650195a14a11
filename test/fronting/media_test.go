package fronting

import (
	"context"
	"fmt"
	"io"
	"time"

	"culvert/test/app"
)

// mediaConn is one HTTPS connection of the app's, through the media port, that
// has to last for all its transfers.
type mediaConn struct{ *app.Media }

// transferLimit bounds a transfer and all that happens beside it.
const transferLimit = 90 * time.Second

func (n *near) dialMedia() mediaConn {
	m := app.NewMedia(n.w.standIn.CAs(), app.Dial(n.media))
	n.w.Cleanup(m.Close)
	return mediaConn{m}
}

// download reads size bytes and calls at each time that another part of them,
// of as many parts as there are calls, has come.
func (m mediaConn) download(size int64, at ...func()) error {
	return m.transfer(m.Download, size, at)
}

func (m mediaConn) upload(size int64, at ...func()) error { return m.transfer(m.Upload, size, at) }

func (m mediaConn) transfer(do func(context.Context, int64, func(io.Reader) io.Reader) error, size int64, at []func()) error {
	ctx, cancel := context.WithTimeout(context.Background(), transferLimit)
	defer cancel()
	err := do(ctx, size, func(r io.Reader) io.Reader {
		return &punctuated{Reader: r, step: size / int64(len(at)+1), at: at}
	})
	if n := m.Dials(); err == nil && n != 1 {
		err = fmt.Errorf("the app had to connect %d times", n)
	}
	return err
}

// punctuated calls the next of at after each step bytes.
type punctuated struct {
	io.Reader
	step, n int64
	at      []func()
}

func (p *punctuated) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if p.n += int64(n); len(p.at) > 0 && p.n >= p.step {
		p.n -= p.step
		next := p.at[0]
		p.at = p.at[1:]
		next()
	}
	return n, err
}
