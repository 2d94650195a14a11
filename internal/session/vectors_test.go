package session

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the vectors")

// counted is SHA-256 of a label and a counter: what the vectors take for random.
type counted struct {
	label string
	n     uint32
}

func (c *counted) Read(b []byte) (int, error) {
	for i := 0; i < len(b); i += 32 {
		sum := sha256.Sum256(binary.BigEndian.AppendUint32([]byte(c.label), c.n))
		c.n++
		copy(b[i:], sum[:])
	}
	return len(b), nil
}

// vector is one message of a conversation of user 1, whose keys follow from a master secret
// of 32 zero bytes, and whose randomness is SHA-256 of "client" or
// "origin" and a counter of 4 bytes, which each reading of up to 32 bytes takes one of.
type vector struct{ From, What, Hex string }

// conversation is a carrier that agrees, says something early, turns, and agrees again;
// one that joins; and one that is unknown.
func conversation(t *testing.T, d Door, c Cipher) (all []vector) {
	w := newWorld(t)
	note := func(from, what string, b []byte) { all = append(all, vector{from, what, hex.EncodeToString(b)}) }
	w.process = newOrigin(Config{Address: "203.0.113.7:443"}, &counted{label: "origin"})
	s := newClient(w.pair(1)[0], c, &counted{label: "client"})
	l := w.dial(s, 1, d, w.process)
	exchange := func(up bool, what, text string) {
		from, to, name := l.near, l.far, "client"
		if !up {
			from, to, name = l.far, l.near, "origin"
		}
		m, err := from.say(text, w.now)
		if err != nil {
			t.Fatal(what, err)
		}
		note(name, what, m)
		if err := to.hear(m, w.now); err != nil {
			t.Fatal(what, err)
		}
	}
	if d == Stream {
		exchange(false, "Challenge", "")
	}
	exchange(true, "Agree, early record", "early")
	exchange(false, "Agreed, record", "first")
	exchange(true, "Turn, record", "more")
	w.now = w.now.Add(GenerationLife)
	again, _ := l.c.Again(w.now)
	note("client", "Again", again)
	answer, err := l.o.Again(again, w.now)
	if err != nil {
		t.Fatal(err)
	}
	note("origin", "Answer", answer)
	l.c.Answer(answer, w.now)
	exchange(true, "Turn, record", "turned")
	exchange(false, "Turn, record", "turned")
	l = w.dial(s, 1, d, w.process)
	if d == Stream {
		exchange(false, "Challenge", "")
	}
	exchange(true, "Join, record", "joined")
	exchange(false, "record", "joined")
	w.process = newOrigin(Config{Address: "203.0.113.7:443"}, &counted{label: "another"})
	l = w.dial(s, 1, d, w.process)
	if d == Stream {
		exchange(false, "Challenge", "")
	}
	exchange(true, "Join, record", "lost")
	if m, _ := l.far.say("", w.now); m != nil {
		note("origin", "Unknown", m)
	}
	return all
}

func TestVectors(t *testing.T) {
	const file = "testdata/messages.json"
	got := map[string][]vector{}
	for name, d := range map[string]Door{"stream": Stream, "gateway": Gateway} {
		got[name+", AES-256-GCM"] = conversation(t, d, AESGCM)
		got[name+", ChaCha20-Poly1305"] = conversation(t, d, ChaCha20Poly1305)
	}
	b, err := json.MarshalIndent(got, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		os.MkdirAll("testdata", 0o755)
		if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || string(want) != string(b)+"\n" {
		t.Errorf("the messages are not those of %s (%v)", file, err)
	}
}
