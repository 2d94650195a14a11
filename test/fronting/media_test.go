package fronting

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"culvert/internal/whatsapp"
	"culvert/test/standin"
)

// mediaConn is one HTTPS connection of the app's, through the media port.
type mediaConn struct {
	*tls.Conn
	in *bufio.Reader
}

// transferLimit bounds a transfer and all that happens beside it.
const transferLimit = 90 * time.Second

func (n *near) dialMedia(ctx context.Context) (*mediaConn, error) {
	c, err := (&tls.Dialer{Config: n.w.mediaTLS()}).DialContext(ctx, "tcp", n.media)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(transferLimit))
	return &mediaConn{c.(*tls.Conn), bufio.NewReader(c)}, nil
}

func (m *mediaConn) ask(method string, path string, body io.Reader, size int64) (*http.Response, error) {
	req, err := http.NewRequest(method, "https://"+whatsapp.MediaHost+path, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	if err := req.Write(m); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	resp, err := http.ReadResponse(m.in, req)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("got %s", resp.Status)
	}
	return resp, err
}

// download reads size bytes and calls at each time that another part of them,
// of as many parts as there are calls, has come.
func (m *mediaConn) download(size int64, at ...func()) error {
	resp, err := m.ask("GET", fmt.Sprintf("/media/%d", size), nil, 0)
	if err != nil {
		return err
	}
	return standin.CheckPattern(&punctuated{Reader: resp.Body, step: size / int64(len(at)+1), at: at}, size)
}

func (m *mediaConn) upload(size int64, at ...func()) error {
	sum := sha256.New()
	body := &punctuated{Reader: io.TeeReader(standin.Pattern(size), sum), step: size / int64(len(at)+1), at: at}
	resp, err := m.ask("PUT", "/up", body, size)
	if err != nil {
		return err
	}
	var got standin.Uploaded
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		return err
	}
	if want := (standin.Uploaded{Bytes: size, SHA256: hex.EncodeToString(sum.Sum(nil))}); got != want {
		return fmt.Errorf("got %+v, want %+v", got, want)
	}
	return nil
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
