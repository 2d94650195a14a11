package whatsapp

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"culvert/test/standin"
)

// served is a stand-in that serves chat and media on this machine.
type served struct {
	*standin.Server
	chat, media string
}

func serve(t testing.TB) served {
	t.Helper()
	s, err := standin.New()
	if err != nil {
		t.Fatal(err)
	}
	chat, media := loopback(t), loopback(t)
	ended := make(chan error, 2)
	go func() { ended <- s.ServeChat(chat) }()
	go func() { ended <- s.ServeMedia(media) }()
	t.Cleanup(func() {
		s.Close()
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("serve: got %v after Close, want nil", err)
			}
		}
	})
	return served{s, chat.Addr().String(), media.Addr().String()}
}

func loopback(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func dialTo(t testing.TB, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestTheStandInProvesItselfUnderItsRoot(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p, err := Prove(t.Context(), dialTo(t, s.chat), s.Root())
	if err != nil {
		t.Fatal(err)
	}
	if p.LeafSerial != 2 || p.IntermediateSerial != 1 || len(p.Warnings) != 0 || p.RTT <= 0 || time.Until(p.NotAfter) < 125*24*time.Hour {
		t.Errorf("got %+v, want serials 2 and 1, no warnings, 126 days of life", p)
	}
}

func TestTheStandInIsNotWhatsApp(t *testing.T) {
	t.Parallel()
	s := serve(t)
	if _, err := Prove(t.Context(), dialTo(t, s.chat), Root()); !errors.Is(err, ErrSignature) {
		t.Errorf("got %v, want ErrSignature", err)
	}
}

func TestTheStandInTakesRoutingAndBothPrologues(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, opening := range []string{"WA\x06\x03", "WA\x05\x03"} {
		for _, routing := range []string{"", "ED\x00\x01\x00\x00\x04\x08\x01\x02\x03", "ED\x00\x01\x00\x00\x00"} {
			p := proverOf(t, unhex(t, key2025), opening)
			p.root = s.Root()
			conn := dialTo(t, s.chat)
			io.WriteString(conn, routing)
			if _, err := p.prove(conn); err != nil {
				t.Errorf("routing %q, prologue %q: %v", routing, opening, err)
			}
		}
	}
}

func TestMediaIsProvedByItsCertificate(t *testing.T) {
	t.Parallel()
	s := serve(t)
	m, err := ProveMedia(t.Context(), dialTo(t, s.media), MediaHost, s.CAs(), 0)
	if err != nil || m.Status != http.StatusMethodNotAllowed || m.Sent != 0 || m.NotAfter.Before(time.Now()) {
		t.Errorf("got %+v and %v, want a status and nil", m, err)
	}
	m, err = ProveMedia(t.Context(), dialTo(t, s.media), "media-fra5-1.cdn.whatsapp.net", s.CAs(), 100<<10)
	if err != nil || m.Status != http.StatusOK || m.Sent != 100<<10 {
		t.Errorf("upload: got %+v and %v, want status 200", m, err)
	}
	for name, try := range map[string]func() error{
		"system's roots": func() error { _, err := ProveMedia(t.Context(), dialTo(t, s.media), MediaHost, nil, 0); return err },
		"another name": func() error {
			_, err := ProveMedia(t.Context(), dialTo(t, s.media), "example.org", s.CAs(), 0)
			return err
		},
	} {
		if err := try(); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: got %v, want ErrSignature", name, err)
		} else if strings.Contains(err.Error(), "example") {
			t.Errorf("%s: got an error that names the host: %v", name, err)
		}
	}
	if _, err := ProveMedia(t.Context(), dialTo(t, s.media), "a b", s.CAs(), 0); !errors.Is(err, errHost) {
		t.Errorf("bad host: got %v, want errHost", err)
	}
}
