package seal

import (
	"bytes"
	"fmt"
	"testing"

	"culvert/internal/wire"
)

func TestAcceptRefusesToResume(t *testing.T) {
	t.Parallel()
	e := warmEnds(t)
	open, _ := e.open(t)
	wantKind(t, open, openResumed)
	other := NewClient(e.master.Client(8), atNoon)
	resumeFirst(t, other, e.server, 8)
	others, _, _ := other.Open(tunnel, chat, nil)
	wantKind(t, others, openResumed)
	posing := e.client.memory.kept.sealHello(t, hello{noon.Unix(), 8, chat, nil})
	unknown := bytes.Clone(open)
	unknown[1]++
	elsewhere := warmEnds(t)
	foreign, _ := elsewhere.open(t)
	for name, in := range map[string]struct {
		id   wire.TunnelID
		user uint32
		open []byte
		want error
	}{
		"the kind alone":              {tunnel, 7, []byte{openResumed}, ErrHandshake},
		"no hello":                    {tunnel, 7, open[:resumedExtra], ErrHandshake},
		"less than a tag":             {tunnel, 7, open[:resumedExtra-1], ErrHandshake},
		"far too much":                {tunnel, 7, append([]byte{openResumed}, make([]byte, wire.MaxFrame)...), ErrHandshake},
		"zeros":                       {tunnel, 7, append([]byte{openResumed}, make([]byte, 200)...), ErrStale},
		"an unknown name":             {tunnel, 7, unknown, ErrStale},
		"another origin's name":       {tunnel, 7, foreign, ErrStale},
		"another user's name":         {tunnel, 7, others, ErrStale},
		"another user's carrier":      {tunnel, 8, open, ErrStale},
		"another user inside":         {tunnel, 7, posing, ErrHandshake},
		"spliced into another tunnel": {tunnel + 1, 7, open, ErrHandshake},
		"bytes appended":              {tunnel, 7, append(bytes.Clone(open), 0), ErrHandshake},
		"a kind that there is not":    {tunnel, 7, append([]byte{0}, open[1:]...), ErrHandshake},
		"called a full handshake":     {tunnel, 7, append([]byte{openFull}, open[1:]...), ErrHandshake},
		"called one to be forgotten":  {tunnel, 7, append([]byte{openOnce}, open[1:]...), ErrHandshake},
	} {
		opened, err := e.server.Accept(in.id, in.user, in.open)
		if err != in.want || opened.Keys != nil || opened.Early != nil || opened.Accept != nil {
			t.Errorf("%s: got %v, want %v and nothing else", name, err, in.want)
		}
	}
	if _, err := e.server.Accept(tunnel, 7, open); err != nil {
		t.Errorf("the genuine one, after all that: %v", err)
	}
	if _, err := e.server.Accept(tunnel, 7, open); err != ErrReplay {
		t.Errorf("and once more: got %v, want %v", err, ErrReplay)
	}
	if _, err := e.server.Accept(tunnel+1, 7, open); err != ErrHandshake {
		t.Errorf("for another tunnel: got %v, want %v", err, ErrHandshake)
	}
}

// resumeFirst runs a full handshake, so that the next can be resumed.
func resumeFirst(t *testing.T, c *Client, s *Server, user uint32) {
	t.Helper()
	open, pending, err := c.OpenAnew(99, chat, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, open, openFull)
	opened, err := s.Accept(99, user, open)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pending.Finish(opened.Accept); err != nil {
		t.Fatal(err)
	}
}

// sealHello makes a resumed Open of any hello.
func (r resumption) sealHello(t *testing.T, h hello) []byte {
	t.Helper()
	buf, err := h.append(make([]byte, resumedHead))
	if err != nil {
		t.Fatal(err)
	}
	return r.sealOpen(buf, tunnel, &nonce{0xee})
}

func TestAcceptRefusesAResumedOpenWithAnyByteChangedOrMissing(t *testing.T) {
	t.Parallel()
	e := warmEnds(t)
	open, _ := e.open(t)
	for i := range open {
		want := ErrHandshake
		if i >= 1 && i < 17 {
			want = ErrStale // the name
		}
		for bit := range 8 {
			open[i] ^= 1 << bit
			if _, err := e.server.Accept(tunnel, 7, open); err != want {
				t.Errorf("byte %d changed: got %v, want %v", i, err, want)
			}
			open[i] ^= 1 << bit
		}
		if _, err := e.server.Accept(tunnel, 7, open[:i]); err != ErrHandshake {
			t.Errorf("cut to %d bytes: got %v, want %v", i, err, ErrHandshake)
		}
	}
	if _, err := e.server.Accept(tunnel, 7, open); err != nil {
		t.Errorf("unchanged: %v", err)
	}
}

func TestFinishRefusesAnswersToAResumedOpen(t *testing.T) {
	t.Parallel()
	e := warmEnds(t)
	other, _ := e.open(t)
	another, err := e.server.Accept(tunnel, 7, other)
	if err != nil {
		t.Fatal(err)
	}
	alter := map[string]func(open, accept []byte) []byte{
		"nothing":                    func(_, _ []byte) []byte { return nil },
		"longer":                     func(_, accept []byte) []byte { return append(accept, 0) },
		"zeros":                      func(_, _ []byte) []byte { return make([]byte, resumedAccept) },
		"its own Open":               func(open, _ []byte) []byte { return open },
		"the head of its own Open":   func(open, _ []byte) []byte { return open[:resumedAccept] },
		"its own nonce and tag":      func(open, _ []byte) []byte { return append(bytes.Clone(open[17:33]), open[len(open)-16:]...) },
		"the Accept of another Open": func(_, _ []byte) []byte { return another.Accept },
		"an Accept of a handshake":   func(_, _ []byte) []byte { return make([]byte, acceptSize) },
	}
	for i := range resumedAccept {
		alter[fmt.Sprintf("byte %d changed", i)] = func(_, accept []byte) []byte { accept[i] ^= 0x80; return accept }
		alter[fmt.Sprintf("cut to %d bytes", i)] = func(_, accept []byte) []byte { return accept[:i] }
	}
	for name, alter := range alter {
		open, pending := e.open(t)
		wantKind(t, open, openResumed)
		opened, err := e.server.Accept(tunnel, 7, open)
		if err != nil {
			t.Fatal(err)
		}
		accept := bytes.Clone(opened.Accept)
		if keys, err := pending.Finish(alter(open, accept)); err != ErrHandshake || keys != nil {
			t.Errorf("%s: got %v, want %v", name, err, ErrHandshake)
		}
		if _, err := pending.Finish(opened.Accept); err != ErrHandshake {
			t.Errorf("%s, then the genuine one: got %v, want %v", name, err, ErrHandshake)
		}
	}
}
