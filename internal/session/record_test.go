package session

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"culvert/internal/wire"
)

func forCiphers(t *testing.T, f func(t *testing.T, c Cipher)) {
	for name, c := range map[string]Cipher{"AES-128-GCM": AESGCM, "ChaCha20-Poly1305": ChaCha20Poly1305} {
		t.Run(name, func(t *testing.T) { f(t, c) })
	}
}

// ordered opens records of the stream door.
type ordered struct{ end }

func (o *ordered) Open(sealed []byte) ([]byte, error) { return o.open(o.came.next, sealed) }

// set has what comes opened by k, or by one that was set before.
func (e *end) set(k *key) {
	e.keys = append(e.keys, k)
	e.at = k
}

// keyOf is a key of the generation j.
func keyOf(c Cipher, secret, j byte) *key {
	return &key{name: int16(j), of: &generation{j: j}, cipher: c, secret: [32]byte{secret}}
}

func pair(c Cipher) (s *end, o *ordered) {
	s, o = new(end), &ordered{end{place: place{door: Stream}}}
	s.out = keyOf(c, 1, 0)
	o.set(keyOf(c, 1, 0))
	return s, o
}

func sealText(t *testing.T, s *end, text string) []byte {
	t.Helper()
	sealed, err := s.Seal(append(make([]byte, wire.RecordHead, 200), text...))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestRecordsOpenInOrder(t *testing.T) {
	forCiphers(t, func(t *testing.T, c Cipher) {
		s, o := pair(c)
		for i := range 5 {
			text := fmt.Sprint("record ", i)
			if i == 3 {
				s.out = keyOf(c, 2, 1)
				o.set(keyOf(c, 2, 1))
				s.RestWriter()
				o.RestReader()
			}
			sealed := sealText(t, s, text)
			if len(sealed) != wire.RecordHead+len(text)+wire.RecordOverhead {
				t.Errorf("got %d bytes", len(sealed))
			}
			if got, err := o.Open(sealed[wire.RecordHead:]); err != nil || string(got) != text {
				t.Errorf("got %q %v", got, err)
			}
		}
	})
}

func TestARecordThatIsLostRepeatedOrSwappedDoesNotOpen(t *testing.T) {
	s, o := pair(AESGCM)
	one, two := sealText(t, s, "one"), sealText(t, s, "two")
	if _, err := o.Open(bytes.Clone(two[wire.RecordHead:])); !errors.Is(err, ErrRecord) {
		t.Errorf("the second first: got %v", err)
	}
	if _, err := o.Open(bytes.Clone(one[wire.RecordHead:])); err != nil {
		t.Errorf("what does not open must not count: %v", err)
	}
	if _, err := o.Open(bytes.Clone(one[wire.RecordHead:])); !errors.Is(err, ErrRecord) {
		t.Errorf("again: got %v", err)
	}
}

func TestEveryBitOfARecordCounts(t *testing.T) {
	s, o := pair(AESGCM)
	sealed := sealText(t, s, "text")[wire.RecordHead:]
	for i := range 8 * len(sealed) {
		bad := bytes.Clone(sealed)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := o.Open(bad); !errors.Is(err, ErrRecord) {
			t.Errorf("bit %d: got %v", i, err)
		}
	}
}

func TestRecordsAreRefused(t *testing.T) {
	s := new(end)
	o := &ordered{end{place: place{door: Stream}}}
	if _, err := s.Seal(make([]byte, 10, 100)); !errors.Is(err, ErrSpent) {
		t.Errorf("without a key: got %v", err)
	}
	if _, err := o.Open(make([]byte, 100)); !errors.Is(err, ErrRecord) {
		t.Errorf("without a key: got %v", err)
	}
	s, o = pair(AESGCM)
	for _, n := range []int{0, wire.RecordHead, wire.MaxRecord - wire.RecordOverhead + 1} {
		if _, err := s.Seal(make([]byte, n, n+wire.RecordOverhead)); !errors.Is(err, ErrSpent) {
			t.Errorf("%d bytes: got %v", n, err)
		}
	}
	for n := range wire.RecordOverhead + 1 {
		if _, err := o.Open(make([]byte, n)); !errors.Is(err, ErrRecord) {
			t.Errorf("%d bytes: got %v", n, err)
		}
	}
}

func TestAKeySealsNoMoreThanItMay(t *testing.T) {
	s, _ := pair(AESGCM)
	s.number, s.out.used = MaxRecords-1, MaxRecords-1
	sealText(t, s, "last")
	if _, err := s.Seal(append(make([]byte, wire.RecordHead, 100), "more"...)); !errors.Is(err, ErrSpent) {
		t.Errorf("got %v", err)
	}
	s.out = keyOf(AESGCM, 2, 1)
	if sealText(t, s, "on"); s.number != MaxRecords+1 {
		t.Errorf("the number is %d: it begins anew with a key", s.number)
	}
}

func TestNoNumberIsSealedTwice(t *testing.T) {
	s, _ := pair(AESGCM)
	for i, n := range []uint32{0, 1, 1, 0, 5, 4, 5, 6} {
		_, err := s.SealMessage(n, append(make([]byte, 4, 100), "x"...), 4)
		if want := []error{nil, nil, ErrSpent, ErrSpent, nil, ErrSpent, ErrSpent, nil}[i]; err != want {
			t.Errorf("number %d: got %v, want %v", n, err, want)
		}
	}
	if sealText(t, s, "a record among them"); s.number != 8 {
		t.Errorf("the next number is %d, want 8", s.number)
	}
}

func TestMessagesOpenOnceInAnyOrder(t *testing.T) {
	forCiphers(t, func(t *testing.T, c Cipher) {
		s := new(end)
		var o end
		s.out = keyOf(c, 1, 7)
		o.set(keyOf(c, 1, 7))
		var all [][]byte
		for i := range uint32(50) {
			if i == 25 {
				s.out = keyOf(c, 2, 8)
				o.set(keyOf(c, 2, 8))
			}
			m, err := s.SealMessage(i, append(make([]byte, 5, 100), fmt.Sprint(i)...), 5)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, m[5:])
		}
		for _, again := range []bool{false, true} {
			for _, i := range rand.Perm(50) {
				o.pick(int16(7 + i/25))
				got, err := o.open(uint64(i), bytes.Clone(all[i]))
				if again && !errors.Is(err, ErrRepeated) || !again && (err != nil || string(got) != fmt.Sprint(i)) {
					t.Errorf("message %d: got %q %v", i, got, err)
				}
			}
		}
	})
}

func TestAForgedNumberMarksNothing(t *testing.T) {
	s := new(end)
	var o end
	s.out = keyOf(AESGCM, 1, 0)
	o.set(keyOf(AESGCM, 1, 0))
	m, _ := s.SealMessage(0, append(make([]byte, 4, 100), "x"...), 4)
	for _, n := range []uint64{1, 2000, 1<<32 - 1} {
		if _, err := o.open(n, bytes.Clone(m[4:])); !errors.Is(err, ErrRecord) {
			t.Errorf("number %d: got %v", n, err)
		}
	}
	o.pick(9)
	if _, err := o.open(0, bytes.Clone(m[4:])); !errors.Is(err, ErrRecord) {
		t.Errorf("of another generation: got %v", err)
	}
	o.pick(0)
	if _, err := o.open(0, m[4:]); err != nil {
		t.Errorf("got %v", err)
	}
}

// A Window says what a set of all numbers would, but for what is too old, however many have come in order at first.
func TestAWindowIsASet(t *testing.T) {
	for _, ordered := range []int{0, 1, 63, WindowSize, WindowSize + 1, 3 * WindowSize} {
		for _, first := range []uint64{0, 1, 5000} {
			checkWindow(t, first, ordered)
		}
	}
}

func checkWindow(t *testing.T, first uint64, ordered int) {
	var w Window
	seen := map[uint64]bool{}
	var highest uint64
	for i := range 20000 {
		n := uint64(rand.Int64N(3000)) + uint64(i)
		switch {
		case i < ordered:
			n = first + uint64(i)
		case i == ordered && i > 0:
			n = first + uint64(rand.IntN(i))
		case i%997 == 0:
			n += 5000
		}
		fresh := !seen[n] && n+WindowSize > highest
		if got := w.Take(n); got != fresh {
			t.Fatalf("%d, highest %d, after %d in order from %d: got %v", n, highest, ordered, first, got)
		}
		seen[n], highest = true, max(highest, n)
	}
}

func TestKeysShowThemselvesToNobody(t *testing.T) {
	w := newWorld(t)
	s := w.client(1)
	l := w.dial(s, 1, Stream, w.process)
	l.talk(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, v := range []any{keyOf(AESGCM, 1, 1), s, s.current(), l.c, l.o, l.o.Session(), w.pair(1)[0]} {
			if got := fmt.Sprintf(verb, v); got != "[hidden key]" {
				t.Errorf("%s shows %s", verb, got)
			}
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	for name, c := range map[string]Cipher{"AES-128-GCM": AESGCM, "ChaCha20-Poly1305": ChaCha20Poly1305} {
		for _, n := range []int{100, 1400, 16 << 10, wire.MaxRecord - wire.RecordHead - wire.RecordOverhead} {
			b.Run(fmt.Sprint(name, "/", n), func(b *testing.B) {
				s, o := pair(c)
				buf := make([]byte, wire.MaxRecord)
				b.ReportAllocs()
				b.SetBytes(int64(n))
				for b.Loop() {
					if s.out.used == MaxRecords {
						s.out.used = 0
					}
					sealed, err := s.Seal(buf[:wire.RecordHead+n])
					if err != nil {
						b.Fatal(err)
					}
					if _, err := o.Open(sealed[wire.RecordHead:]); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
