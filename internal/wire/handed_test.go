package wire

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func testGateKeys(t testing.TB, letters string) GateKeys {
	t.Helper()
	var words []string
	for _, l := range letters {
		words = append(words, strings.Repeat(string(l), 64))
	}
	keys, err := ParseGateKeys(strings.Join(words, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

var handedAt = time.Unix(1_800_000_000, 0)

func TestHandedComesBack(t *testing.T) {
	t.Parallel()
	sign, check := NewSigner(testGateKeys(t, "ab")), NewChecker(testGateKeys(t, "xa"))
	for _, want := range []Handed{{Message, "L0SM9cOFvHcCIhw=", []byte("mtext")}, {Disconnect, "x", nil}} {
		for range 2 {
			got, err := check.Check(sign.Sign(want, handedAt), handedAt.Add(HandedLife))
			if err != nil || got.Event != want.Event || got.Conn != want.Conn || !bytes.Equal(got.Text, want.Text) {
				t.Errorf("got %v, %v, want %v", got, err, want)
			}
		}
	}
}

// No byte of a body can be changed, and no length.
func TestHandedThatIsNotGenuine(t *testing.T) {
	t.Parallel()
	keys := testGateKeys(t, "a")
	body := NewSigner(keys).Sign(Handed{Message, "id=", []byte("mtext")}, handedAt)
	check := NewChecker(keys)
	for i := range body {
		bad := bytes.Clone(body)
		bad[i] ^= 1
		if h, err := check.Check(bad, handedAt); err != ErrHanded {
			t.Errorf("byte %d changed: got %v, %v", i, h, err)
		}
		if h, err := check.Check(body[:i], handedAt); err != ErrHanded {
			t.Errorf("cut at %d: got %v, %v", i, h, err)
		}
	}
	for name, c := range map[string]struct {
		keys GateKeys
		now  time.Time
	}{
		"another gate's": {testGateKeys(t, "b"), handedAt},
		"too old":        {keys, handedAt.Add(HandedLife + time.Second)},
		"of the future":  {keys, handedAt.Add(-HandedLife - time.Second)},
	} {
		if _, err := NewChecker(c.keys).Check(body, c.now); err != ErrHanded {
			t.Errorf("%s: got %v, want ErrHanded", name, err)
		}
	}
	if _, err := check.Check(NewSigner(keys).Sign(Handed{9, "id=", nil}, handedAt), handedAt); err != ErrHanded {
		t.Errorf("an event that is none: got %v, want ErrHanded", err)
	}
}

func TestTicketNamesItsOwner(t *testing.T) {
	t.Parallel()
	ours, others := NewTickets(testGateKeys(t, "ab")), NewTickets(testGateKeys(t, "b"))
	for _, at := range []string{"10.0.1.7:8080", "[fd00::1]:65535"} {
		want := Owner{netip.MustParseAddrPort(at), 1<<32 - 1}
		ticket := others.New(0, want, handedAt) // of the generation before
		if len(ticket) != TicketLen {
			t.Errorf("got %d characters, want %d", len(ticket), TicketLen)
		}
		if got, err := ours.Open(ticket, handedAt.Add(TicketLife)); err != nil || got != want {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
		for name, now := range map[string]time.Time{"old": handedAt.Add(TicketLife + time.Second), "of the future": handedAt.Add(-time.Hour)} {
			if _, err := ours.Open(ticket, now); err != ErrTicket {
				t.Errorf("%s: got %v, want ErrTicket", name, err)
			}
		}
		for i := range ticket {
			bad := []byte(ticket)
			bad[i] ^= 1
			if got, err := ours.Open(string(bad), handedAt); err != ErrTicket {
				t.Errorf("character %d changed: got %v, %v", i, got, err)
			}
		}
		if _, err := others.Open(ours.New(0, want, handedAt), handedAt); err != ErrTicket {
			t.Errorf("by a key that is not known: got %v, want ErrTicket", err)
		}
	}
}

// While a secret is being rotated, some know the new one and some do not yet; and the next rotation may
// come at once. Whoever lets a user in opens the user's tickets all the while.
func TestATicketIsOpenedByWhoeverLetsItsUserIn(t *testing.T) {
	t.Parallel()
	rotated := testGateKeys(t, "ba")
	want := Owner{netip.MustParseAddrPort("10.0.1.7:8080"), 7}
	for i, key := range rotated {
		token := NewToken(7, key.TokenKey(7), [32]byte{}, handedAt)
		by, ok := token.AdmittedBy(rotated, handedAt)
		if !ok || by != KeyNumber(i) {
			t.Fatalf("got key %d, %v, want %d", by, ok, i)
		}
		ticket := NewTickets(rotated).New(by, want, handedAt)
		for _, letters := range []string{"a", "ba", "cb"} {
			keys := testGateKeys(t, letters)
			got, err := NewTickets(keys).Open(ticket, handedAt)
			if admitted := token.Admit(keys, handedAt); admitted != (err == nil) || admitted && got != want {
				t.Errorf("who knows %q got %v, %v, and lets the user in: %v", letters, got, err, admitted)
			}
		}
	}
}

// An origin that serves what it holds to its end never hears of a new secret, nor does one of a fleet before
// its turn, and the functions have it already.
func TestAMessageIsSignedByTheKeyOfItsTicketOrToken(t *testing.T) {
	t.Parallel()
	sign := NewSigner(testGateKeys(t, "ba"))
	before, after := testGateKeys(t, "a"), testGateKeys(t, "ba")
	last, next := NewChecker(before), NewChecker(after)
	owner := Owner{netip.MustParseAddrPort("10.0.1.7:8080"), 7}
	token := func(key GateKey) string {
		made := NewToken(7, key.TokenKey(7), [32]byte{}, handedAt)
		return made.Text()
	}
	for _, c := range []struct {
		name          string
		event         Event
		token, ticket string
		old           bool // the last secret is enough
	}{
		{"a ticket of the last", Message, "", NewTickets(before).New(0, owner, handedAt), true},
		{"a ticket of the new one", Message, "", NewTickets(after).New(0, owner, handedAt), false},
		{"a ticket of the last and a token of the new one", Message, token(after[0]), NewTickets(before).New(0, owner, handedAt), true},
		{"no ticket, a token of the last", Message, token(before[0]), "", true},
		{"no ticket, a token of the new one", Message, token(after[0]), "", false},
		{"neither", Message, "", "", false},
		{"a ticket of the last again", Message, "", NewTickets(before).New(0, owner, handedAt), true},
		{"the end of a connection", Disconnect, "", "", false},
	} {
		body := sign.Sign(Handed{c.event, "id=", append(AppendUp(nil, c.token, c.ticket), '!')}, handedAt)
		if _, err := last.Check(body, handedAt); (err == nil) != c.old {
			t.Errorf("%s: got %v from who knows the last secret alone", c.name, err)
		}
		if _, err := next.Check(body, handedAt); err != nil {
			t.Errorf("%s: got %v from who knows both", c.name, err)
		}
	}
}

func TestGateSecretsThatAreNone(t *testing.T) {
	t.Parallel()
	good := strings.Repeat("a", 64)
	for _, text := range []string{"", " ", good[1:], good + "a", good[1:] + "-", strings.Repeat(good+" ", 5), good + " x"} {
		if _, err := ParseGateKeys(text); err != ErrGateSecret {
			t.Errorf("%.20q…: got %v, want ErrGateSecret", text, err)
		}
	}
}

func TestTokensOfBothGenerationsOpen(t *testing.T) {
	t.Parallel()
	keys := testGateKeys(t, "ab")
	for _, k := range keys {
		if made := NewToken(7, k.TokenKey(7), proof, handedAt); !made.Admit(keys, handedAt) {
			t.Error("a token of one of the generations is refused")
		}
	}
	if made := NewToken(7, keys[1].TokenKey(7), proof, handedAt); made.Admit(keys[:1], handedAt) {
		t.Error("a token is admitted by another generation's key")
	}
}

func BenchmarkHanded(b *testing.B) {
	keys := testGateKeys(b, "a")
	sign, check := NewSigner(keys), NewChecker(keys)
	text := AppendText([]byte("m"), randomBytes(MaxTextBody))
	body := sign.Sign(Handed{Message, "L0SM9cOFvHcCIhw=", text}, handedAt)
	b.Run("sign", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			sign.Sign(Handed{Message, "L0SM9cOFvHcCIhw=", text}, handedAt)
		}
	})
	b.Run("check", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			check.Check(body, handedAt)
		}
	})
}
