package seal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/internal/wire"
)

// warmEnds are ends that can resume.
func warmEnds(t *testing.T) ends {
	t.Helper()
	e := newEnds()
	e.keys(t)
	return e
}

// wantKind checks how a payload of an Open frame begins.
func wantKind(t *testing.T, open []byte, want byte) {
	t.Helper()
	if open[0] != want {
		t.Fatalf("got an Open of kind %d, want %d", open[0], want)
	}
}

func TestTunnelsAfterTheFirstAreResumed(t *testing.T) {
	t.Parallel()
	e := newEnds()
	open, _ := e.open(t)
	wantKind(t, open, openFull)
	e = warmEnds(t)
	for n := range 200 {
		s, early, id := wire.Service{Kind: wire.Media, Host: "mmg.whatsapp.net"}, bytes.Repeat([]byte{byte(n)}, n), wire.TunnelID(n+1)
		open, pending, err := e.client.Open(id, s, early)
		if err != nil {
			t.Fatal(err)
		}
		wantKind(t, open, openResumed)
		before := bytes.Clone(open)
		opened, err := e.server.Accept(id, 7, open)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "payload after Accept", open, before)
		if opened.Service != s || !bytes.Equal(opened.Early, early) {
			t.Errorf("got %v and %x, want %v and %x", opened.Service, opened.Early, s, early)
		}
		accept := bytes.Clone(opened.Accept)
		near, err := pending.Finish(opened.Accept)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "payload after Finish", opened.Accept, accept)
		speak(t, near, opened.Keys)
	}
}

func TestAResumedOpenCarriesEarlyBytesWithinTheirLimit(t *testing.T) {
	t.Parallel()
	e := warmEnds(t)
	host := wire.Service{Kind: wire.Web, Host: strings.Repeat("a", 253)}
	open, _, err := e.client.Open(tunnel, host, make([]byte, wire.MaxEarly))
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, open, openResumed)
	opened, err := e.server.Accept(tunnel, 7, open)
	if err != nil || len(opened.Early) != wire.MaxEarly || opened.Service != host {
		t.Errorf("got %d early bytes and %v, want %d", len(opened.Early), err, wire.MaxEarly)
	}
	if _, _, err := e.client.Open(tunnel, chat, make([]byte, wire.MaxEarly+1)); err == nil {
		t.Error("too many early bytes: got no error")
	}
	long := hello{noon.Unix(), 7, chat, nil}
	plain, err := long.append(make([]byte, resumedHead))
	if err != nil {
		t.Fatal(err)
	}
	plain = append(plain, make([]byte, wire.MaxEarly+1)...)
	r := e.client.memory.kept
	if _, err := e.server.Accept(tunnel, 7, r.sealOpen(plain, tunnel, &nonce{1})); err != ErrHandshake {
		t.Errorf("too many from a client that does not count: got %v, want %v", err, ErrHandshake)
	}
}

func TestAResumedOpenThatIsReflectedIsRefused(t *testing.T) {
	t.Parallel()
	e := warmEnds(t)
	open, pending := e.open(t)
	opened, err := e.server.Accept(tunnel, 7, open)
	if err != nil {
		t.Fatal(err)
	}
	near, err := pending.Finish(opened.Accept)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := near.Open(near.Seal([]byte("there"), wire.Data, 0), wire.Data, 0); err != ErrRecord {
		t.Errorf("a record of its own: got %v, want %v", err, ErrRecord)
	}
	if _, err := near.Open(near.Seal(nil, wire.Accept, ControlPos), wire.Accept, ControlPos); err != ErrRecord {
		t.Errorf("a proof of its own: got %v, want %v", err, ErrRecord)
	}
	if _, err := e.server.Accept(tunnel, 7, opened.Accept); err != ErrHandshake {
		t.Errorf("an Accept as an Open: got %v, want %v", err, ErrHandshake)
	}
}

func TestKeysDifferWithEachNonceTunnelAndSecret(t *testing.T) {
	t.Parallel()
	r, other := resumption{secret: [32]byte{1}}, resumption{secret: [32]byte{2}}
	a, b := nonce{1}, nonce{2}
	seen := map[[32]byte]string{}
	add := func(what string, key [32]byte) {
		if before, again := seen[key]; again {
			t.Errorf("%s has the key of %s", what, before)
		}
		seen[key] = what
	}
	for what, d := range map[string]directions{
		"a tunnel":                      r.directions(1, &a, &a),
		"another nonce of the origin's": r.directions(1, &a, &b), // although the client's is the same
		"another nonce of the client's": r.directions(1, &b, &a),
		"other nonces":                  r.directions(1, &b, &b),
		"another tunnel":                r.directions(2, &a, &a),
		"another secret":                other.directions(1, &a, &a),
	} {
		add(what+" to the origin", d.toOrigin)
		add(what+" to the client", d.toClient)
	}
	add("an Open", r.openKey(1, &a))
	add("an Open with another nonce", r.openKey(1, &b))
	add("an Open of another tunnel", r.openKey(2, &a))
	add("an Open of another secret", other.openKey(1, &a))
}

func TestEachHandshakeLeavesAnotherSecret(t *testing.T) {
	t.Parallel()
	e := newEnds()
	names, secrets := map[name]bool{}, map[[32]byte]bool{}
	for range 10 {
		resumeFirst(t, e.client, e.server, 7)
		names[e.client.memory.kept.name] = true
		secrets[e.client.memory.kept.secret] = true
	}
	if len(names) != 10 || len(secrets) != 10 {
		t.Errorf("got %d names and %d secrets, want 10", len(names), len(secrets))
	}
}

// Who takes the keys of the tunnel that the handshake opened cannot resume.
func TestTheSecretIsNotMadeOfATunnelsKeys(t *testing.T) {
	t.Parallel()
	e := newEnds()
	near, _ := e.keys(t)
	public := make([]byte, 32) // stands for the hash, which is no secret
	made := extract(append(near.sealer.key[:], near.opener.key[:]...), public)
	if made.resumption().secret == e.client.memory.kept.secret {
		t.Error("got the secret")
	}
	for _, key := range [][32]byte{near.sealer.key, near.opener.key} {
		if key == e.client.memory.kept.secret {
			t.Error("a key of the tunnel is the secret")
		}
	}
}

func TestAWrongClockIsToldToWhoResumes(t *testing.T) {
	t.Parallel()
	e := warmEnds(t)
	for off, want := range map[time.Duration]error{
		ClockWindow:                nil,
		-ClockWindow:               nil,
		ClockWindow + time.Second:  ErrClock,
		-ClockWindow - time.Second: ErrClock,
	} {
		e.client.SetOffset(off)
		open, _ := e.open(t)
		wantKind(t, open, openResumed)
		if _, err := e.server.Accept(tunnel, 7, open); err != want {
			t.Errorf("%v off: got %v, want %v", off, err, want)
		}
	}
}

func TestAnOriginThatWasRestartedIsResumedFromAgainAfterAHandshake(t *testing.T) {
	t.Parallel()
	e := warmEnds(t)
	e.server = oldServer(e.master)
	open, pending := e.open(t)
	if _, err := e.server.Accept(tunnel, 7, open); err != ErrStale {
		t.Fatalf("got %v, want %v", err, ErrStale)
	}
	late, latePending := e.open(t) // was on its way, too
	if _, err := e.server.Accept(tunnel, 7, late); err != ErrStale {
		t.Fatalf("got %v, want %v", err, ErrStale)
	}
	pending.Void()
	if _, err := pending.Finish(make([]byte, resumedAccept)); err != ErrHandshake {
		t.Errorf("finished though void: got %v, want %v", err, ErrHandshake)
	}
	resumeFirst(t, e.client, e.server, 7)
	latePending.Void() // must not take the new one away
	open, _ = e.open(t)
	wantKind(t, open, openResumed)
	if _, err := e.server.Accept(tunnel, 7, open); err != nil {
		t.Error(err)
	}
}

func TestManyResumeAtOnce(t *testing.T) {
	t.Parallel()
	e := warmEnds(t)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 50 {
				id := wire.TunnelID(g*1000 + n + 1)
				begin := e.client.Open
				if n%10 == 9 {
					begin = e.client.OpenAnew
				}
				open, pending, err := begin(id, chat, nil)
				if err != nil {
					t.Error(err)
					return
				}
				opened, err := e.server.Accept(id, 7, open)
				if err == ErrStale { // pushed out by the others' handshakes
					pending.Void()
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				near, err := pending.Finish(opened.Accept)
				if err != nil {
					t.Error(err)
					return
				}
				speak(t, near, opened.Keys)
			}
		})
	}
	wg.Wait()
}

func TestOfManyCopiesOfAResumedOpenOneIsAccepted(t *testing.T) {
	t.Parallel()
	e := warmEnds(t)
	open, _ := e.open(t)
	results := make(chan error, 16)
	for range cap(results) {
		go func() {
			_, err := e.server.Accept(tunnel, 7, open)
			results <- err
		}()
	}
	accepted := 0
	for range cap(results) {
		switch err := <-results; err {
		case nil:
			accepted++
		case ErrReplay:
		default:
			t.Errorf("got %v, want none or %v", err, ErrReplay)
		}
	}
	if accepted != 1 {
		t.Errorf("got %d accepted, want 1", accepted)
	}
}

func TestWhatIsKeptIsNotPrinted(t *testing.T) {
	t.Parallel()
	e := warmEnds(t)
	_, pending := e.open(t)
	r := e.client.memory.kept
	for _, v := range []any{e.client, &e.client.memory, e.server, &e.server.store, pending, r, &r, &stored{resumption: r}, directions{}} {
		text, err := json.Marshal(v)
		got := fmt.Sprintf("%v %+v %#v %s %x %d", v, v, v, v, v, v) + string(text)
		if err != nil || strings.Trim(strings.ReplaceAll(got, hiddenText, ""), " \"") != "" {
			t.Errorf("got %q and %v, want nothing but %q", got, err, hiddenText)
		}
	}
}
