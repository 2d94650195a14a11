package whatsapp

import (
	"culvert/test/standin/standintest"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestTheStandInProvesItselfUnderItsRoot(t *testing.T) {
	t.Parallel()
	s := standintest.Serve(t)
	p, err := Prove(t.Context(), standintest.Dial(t, s.Chat), s.Root())
	if err != nil {
		t.Fatal(err)
	}
	if p.LeafSerial != 2 || p.IntermediateSerial != 1 || len(p.Warnings) != 0 || p.RTT <= 0 || time.Until(p.NotAfter) < 125*24*time.Hour {
		t.Errorf("got %+v, want serials 2 and 1, no warnings, 126 days of life", p)
	}
}

func TestTheStandInIsNotWhatsApp(t *testing.T) {
	t.Parallel()
	s := standintest.Serve(t)
	if _, err := Prove(t.Context(), standintest.Dial(t, s.Chat), Root()); !errors.Is(err, ErrSignature) {
		t.Errorf("got %v, want ErrSignature", err)
	}
}

func TestTheStandInTakesRoutingAndBothPrologues(t *testing.T) {
	t.Parallel()
	s := standintest.Serve(t)
	for _, opening := range []string{"WA\x06\x03", "WA\x05\x03"} {
		for _, routing := range []string{"", "ED\x00\x01\x00\x00\x04\x08\x01\x02\x03", "ED\x00\x01\x00\x00\x00"} {
			p := proverOf(t, unhex(t, key2025), opening)
			p.root = s.Root()
			conn := standintest.Dial(t, s.Chat)
			io.WriteString(conn, routing)
			if _, err := p.prove(conn); err != nil {
				t.Errorf("routing %q, prologue %q: %v", routing, opening, err)
			}
		}
	}
}

func TestMediaIsProvedByItsCertificate(t *testing.T) {
	t.Parallel()
	s := standintest.Serve(t)
	m, err := ProveMedia(t.Context(), standintest.Dial(t, s.Media), MediaHost, s.CAs(), 0)
	if err != nil || m.Status != http.StatusMethodNotAllowed || m.Sent != 0 || m.NotAfter.Before(time.Now()) {
		t.Errorf("got %+v and %v, want a status and nil", m, err)
	}
	m, err = ProveMedia(t.Context(), standintest.Dial(t, s.Media), "media-fra5-1.cdn.whatsapp.net", s.CAs(), 100<<10)
	if err != nil || m.Status != http.StatusOK || m.Sent != 100<<10 {
		t.Errorf("upload: got %+v and %v, want status 200", m, err)
	}
	for name, try := range map[string]func() error{
		"system's roots": func() error {
			_, err := ProveMedia(t.Context(), standintest.Dial(t, s.Media), MediaHost, nil, 0)
			return err
		},
		"another name": func() error {
			_, err := ProveMedia(t.Context(), standintest.Dial(t, s.Media), "example.org", s.CAs(), 0)
			return err
		},
	} {
		if err := try(); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: got %v, want ErrSignature", name, err)
		} else if strings.Contains(err.Error(), "example") {
			t.Errorf("%s: got an error that names the host: %v", name, err)
		}
	}
	if _, err := ProveMedia(t.Context(), standintest.Dial(t, s.Media), "a b", s.CAs(), 0); !errors.Is(err, errHost) {
		t.Errorf("bad host: got %v, want errHost", err)
	}
}
