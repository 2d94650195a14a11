package seal

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"culvert/internal/wire"
)

// ends are a client and the origin that stopped clocks show the same time.
type ends struct {
	master Master
	client *Client
	server *Server
}

const tunnel wire.TunnelID = 5

var noon = time.Unix(1_800_000_000, 0)

func atNoon() time.Time { return noon }

// newEnds makes a client of user 7 and an origin that began a day ago.
func newEnds() ends {
	m := NewMaster()
	return ends{m, NewClient(m.Client(7), atNoon), oldServer(m)}
}

func oldServer(m Master, older ...Master) *Server {
	s := NewServer(m, atNoon, older...)
	s.seen.init(noon.Add(-24*time.Hour).Unix(), maxSeen)
	return s
}

func (e ends) open(t *testing.T) ([]byte, *Pending) {
	t.Helper()
	open, pending, err := e.client.Open(tunnel, chat, []byte("WA"))
	if err != nil {
		t.Fatal(err)
	}
	return open, pending
}

// keys runs a whole handshake.
func (e ends) keys(t *testing.T) (near, far *Keys) {
	t.Helper()
	open, pending := e.open(t)
	opened, err := e.server.Accept(tunnel, 7, open)
	if err != nil {
		t.Fatal(err)
	}
	if near, err = pending.Finish(opened.Accept); err != nil {
		t.Fatal(err)
	}
	return near, opened.Keys
}

func TestEarlyBytesAndServiceArriveWithTheOpen(t *testing.T) {
	t.Parallel()
	for _, s := range []wire.Service{
		chat,
		{Kind: wire.Media, Host: "media-fra5-1.cdn.whatsapp.net"},
		{Kind: wire.Web, Host: strings.Repeat("a", 253)},
	} {
		for _, early := range [][]byte{nil, []byte("WA\x06\x03"), bytes.Repeat([]byte{7}, wire.MaxEarly)} {
			e := newEnds()
			open, pending, err := e.client.Open(tunnel, s, early)
			if err != nil {
				t.Fatal(err)
			}
			if max := wire.MaxFrame - wire.HeaderLen; len(open) > max {
				t.Errorf("got %d bytes of Open, want at most %d", len(open), max)
			}
			before := bytes.Clone(open)
			opened, err := e.server.Accept(tunnel, 7, open)
			if err != nil {
				t.Fatal(err)
			}
			if opened.Service != s || !bytes.Equal(opened.Early, early) {
				t.Errorf("got %v and %d bytes, want %v and %d", opened.Service, len(opened.Early), s, len(early))
			}
			same(t, "payload after Accept", open, before)
			near, err := pending.Finish(opened.Accept)
			if err != nil {
				t.Fatal(err)
			}
			speak(t, near, opened.Keys)
		}
	}
}

// speak checks that a and b understand one another.
func speak(t *testing.T, a, b *Keys) {
	t.Helper()
	for range 2 {
		if got, err := b.Open(a.Seal([]byte("there"), wire.Data, 0), wire.Data, 0); err != nil || string(got) != "there" {
			t.Errorf("got %q and %v, want there", got, err)
		}
		a, b = b, a
	}
}

func TestOpenFailsForWhatAnOpenFrameCannotHold(t *testing.T) {
	t.Parallel()
	e := newEnds()
	for name, s := range map[string]wire.Service{
		"no service":      {},
		"unknown service": {Kind: 99},
		"upper case":      {Kind: wire.Web, Host: "WEB.whatsapp.com"},
		"trailing dot":    {Kind: wire.Web, Host: "web.whatsapp.com."},
		"long host":       {Kind: wire.Web, Host: strings.Repeat("a", 254)},
		"very long host":  {Kind: wire.Web, Host: strings.Repeat("a", 300)},
	} {
		if _, _, err := e.client.Open(tunnel, s, nil); !errors.Is(err, wire.ErrService) {
			t.Errorf("%s: got %v, want %v", name, err, wire.ErrService)
		}
	}
	if _, _, err := e.client.Open(tunnel, chat, make([]byte, wire.MaxEarly+1)); err == nil {
		t.Error("too many early bytes: got no error")
	}
}

func TestAcceptRefuses(t *testing.T) {
	t.Parallel()
	e := newEnds()
	open, _ := e.open(t)
	stranger := NewClient(NewMaster().Client(7), atNoon)
	foreign, _, _ := stranger.Open(tunnel, chat, nil)
	misled := e.master.Client(7)
	misled.Origin = NewMaster().OriginPublic()
	elsewhere, _, _ := NewClient(misled, atNoon).Open(tunnel, chat, nil)
	borrowed := e.master.Client(7)
	borrowed.Private = NewMaster().Client(7).Private
	unknownKey, _, _ := NewClient(borrowed, atNoon).Open(tunnel, chat, nil)
	posing := e.master.Client(7)
	posing.User = 8
	otherNumber, _, _ := NewClient(posing, atNoon).Open(tunnel, chat, nil)
	for name, in := range map[string]struct {
		id   wire.TunnelID
		user uint32
		open []byte
	}{
		"nothing":                     {tunnel, 7, nil},
		"garbage":                     {tunnel, 7, bytes.Repeat([]byte{0xa5}, 200)},
		"zeros, a key of low order":   {tunnel, 7, make([]byte, 200)},
		"far too much":                {tunnel, 7, make([]byte, wire.MaxFrame)},
		"another origin's link":       {tunnel, 7, foreign},
		"sealed for another origin":   {tunnel, 7, elsewhere},
		"a key nobody was given":      {tunnel, 7, unknownKey},
		"another user's carrier":      {tunnel, 8, open},
		"another user inside":         {tunnel, 7, otherNumber},
		"another user's number":       {tunnel, 8, otherNumber},
		"spliced into another tunnel": {tunnel + 1, 7, open},
		"bytes appended":              {tunnel, 7, append(bytes.Clone(open), 0)},
	} {
		opened, err := e.server.Accept(in.id, in.user, in.open)
		if err != ErrHandshake || opened.Keys != nil || opened.Early != nil || opened.Accept != nil {
			t.Errorf("%s: got %v, want %v and nothing else", name, err, ErrHandshake)
		}
	}
	if _, err := e.server.Accept(tunnel, 7, open); err != nil {
		t.Errorf("the genuine one, after all that: %v", err)
	}
}

func TestAcceptRefusesAnOpenWithAnyByteChangedOrMissing(t *testing.T) {
	t.Parallel()
	e := newEnds()
	open, _ := e.open(t)
	for i := range open {
		open[i] ^= 0x80
		if _, err := e.server.Accept(tunnel, 7, open); err != ErrHandshake {
			t.Errorf("byte %d changed: got %v, want %v", i, err, ErrHandshake)
		}
		open[i] ^= 0x80
		if _, err := e.server.Accept(tunnel, 7, open[:i]); err != ErrHandshake {
			t.Errorf("cut to %d bytes: got %v, want %v", i, err, ErrHandshake)
		}
	}
}

func TestFinishRefusesAnAcceptWithAnyByteChangedOrMissing(t *testing.T) {
	t.Parallel()
	e := newEnds()
	for i := range acceptSize {
		for name, alter := range map[string]func([]byte) []byte{
			"changed": func(b []byte) []byte { b[i] ^= 0x80; return b },
			"missing": func(b []byte) []byte { return b[:i] },
		} {
			open, pending := e.open(t)
			opened, err := e.server.Accept(tunnel, 7, open)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := pending.Finish(alter(opened.Accept)); err != ErrHandshake {
				t.Errorf("byte %d %s: got %v, want %v", i, name, err, ErrHandshake)
			}
		}
	}
}

func TestFinishRefuses(t *testing.T) {
	t.Parallel()
	e := newEnds()
	other, _ := e.open(t)
	another, err := e.server.Accept(tunnel, 7, other)
	if err != nil {
		t.Fatal(err)
	}
	for name, accept := range map[string]func(open []byte) []byte{
		"nothing":                    func([]byte) []byte { return nil },
		"garbage":                    func([]byte) []byte { return bytes.Repeat([]byte{9}, acceptSize) },
		"zeros, a key of low order":  func([]byte) []byte { return make([]byte, acceptSize) },
		"its own Open":               func(open []byte) []byte { return open },
		"the head of its own Open":   func(open []byte) []byte { return open[:acceptSize] },
		"the Accept of another Open": func([]byte) []byte { return another.Accept },
		"another origin's Accept":    func([]byte) []byte { return acceptOf(t, newEnds()) },
	} {
		open, pending := e.open(t)
		if keys, err := pending.Finish(accept(open)); err != ErrHandshake || keys != nil {
			t.Errorf("%s: got %v, want %v", name, err, ErrHandshake)
		}
	}
}

func acceptOf(t *testing.T, e ends) []byte {
	t.Helper()
	open, _ := e.open(t)
	opened, err := e.server.Accept(tunnel, 7, open)
	if err != nil {
		t.Fatal(err)
	}
	return opened.Accept
}

func TestFinishWorksOnce(t *testing.T) {
	t.Parallel()
	e := newEnds()
	open, pending := e.open(t)
	opened, err := e.server.Accept(tunnel, 7, open)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pending.Finish(opened.Accept); err != nil {
		t.Fatal(err)
	}
	if _, err := pending.Finish(opened.Accept); err != ErrHandshake {
		t.Errorf("second time: got %v, want %v", err, ErrHandshake)
	}
}

func TestAClientDoesNotAcceptAnOpen(t *testing.T) {
	t.Parallel()
	e := newEnds()
	open, _ := e.open(t)
	reflected := NewServer(NewMaster(), atNoon)
	g := reflected.generations[0]
	g.private, g.public = e.master.clientPrivate(7), e.master.clientPrivate(7).public()
	if _, err := reflected.Accept(tunnel, 7, open); err != ErrHandshake {
		t.Errorf("got %v, want %v", err, ErrHandshake)
	}
}

func TestALinkWithAnOriginKeyOfLowOrderOpensNothing(t *testing.T) {
	t.Parallel()
	keys := NewMaster().Client(7)
	keys.Origin = PublicKey{}
	if _, _, err := NewClient(keys, atNoon).Open(tunnel, chat, nil); err != ErrHandshake {
		t.Errorf("got %v, want %v", err, ErrHandshake)
	}
}

func TestAWrongClockIsToldAndCanBeCorrected(t *testing.T) {
	t.Parallel()
	e := newEnds()
	for off, want := range map[time.Duration]error{
		ClockWindow:                nil,
		-ClockWindow:               nil,
		ClockWindow + time.Second:  ErrClock,
		-ClockWindow - time.Second: ErrClock,
		50 * 365 * 24 * time.Hour:  ErrClock,
		-60 * 365 * 24 * time.Hour: ErrClock, // before 1970
	} {
		client := NewClient(e.master.Client(7), func() time.Time { return noon.Add(off) })
		open, _, _ := client.Open(tunnel, chat, nil)
		if _, err := e.server.Accept(tunnel, 7, open); err != want {
			t.Errorf("%v off: got %v, want %v", off, err, want)
		}
		client.SetOffset(-off)
		open, _, _ = client.Open(tunnel, chat, nil)
		if _, err := e.server.Accept(tunnel, 7, open); err != nil {
			t.Errorf("%v off, corrected: got %v, want none", off, err)
		}
	}
}

func TestAServerAcceptsNothingOlderThanItself(t *testing.T) {
	t.Parallel()
	e := newEnds()
	late := NewClient(e.master.Client(7), func() time.Time { return noon.Add(-time.Second) })
	open, _, _ := late.Open(tunnel, chat, nil)
	if _, err := e.server.Accept(tunnel, 7, open); err != nil {
		t.Fatal(err)
	}
	restarted := NewServer(e.master, atNoon)
	if _, err := restarted.Accept(tunnel, 7, open); err != ErrClock {
		t.Errorf("replayed after a restart: got %v, want %v", err, ErrClock)
	}
	open, _ = e.open(t)
	if _, err := restarted.Accept(tunnel, 7, open); err != nil {
		t.Errorf("made in the second of the start: %v", err)
	}
}
