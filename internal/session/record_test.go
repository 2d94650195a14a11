package session

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

func forCiphers(t *testing.T, f func(t *testing.T, c Cipher)) {
	for name, c := range map[string]Cipher{"AES-256-GCM": AESGCM, "ChaCha20-Poly1305": ChaCha20Poly1305} {
		t.Run(name, func(t *testing.T) { f(t, c) })
	}
}

// inOrder opens records of the stream door.
type inOrder struct {
	Opener
	count uint64
}

func (o *inOrder) Open(sealed []byte) ([]byte, error) {
	plain, err := o.Opener.Open(0, o.count, sealed)
	if err == nil {
		o.count++
	}
	return plain, err
}

func pair(c Cipher) (s Sealer, o inOrder) {
	s.Turn(c, Key{1})
	o.Turn(0, c, Key{1}, false)
	return s, o
}

func seal(t *testing.T, s *Sealer, text string) []byte {
	t.Helper()
	sealed, err := s.Seal(append(make([]byte, HeadLen, 200), text...))
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
				s.Turn(c, Key{2})
				o.Turn(0, c, Key{2}, false)
				s.Rest()
				o.Rest()
			}
			sealed := seal(t, &s, text)
			if len(sealed) != HeadLen+len(text)+Overhead {
				t.Errorf("got %d bytes", len(sealed))
			}
			if got, err := o.Open(sealed[HeadLen:]); err != nil || string(got) != text {
				t.Errorf("got %q %v", got, err)
			}
		}
	})
}

func TestARecordThatIsLostRepeatedOrSwappedDoesNotOpen(t *testing.T) {
	s, o := pair(AESGCM)
	one, two := seal(t, &s, "one"), seal(t, &s, "two")
	if _, err := o.Open(bytes.Clone(two[HeadLen:])); !errors.Is(err, ErrRecord) {
		t.Errorf("the second first: got %v", err)
	}
	if _, err := o.Open(bytes.Clone(one[HeadLen:])); err != nil {
		t.Errorf("what does not open must not count: %v", err)
	}
	if _, err := o.Open(bytes.Clone(one[HeadLen:])); !errors.Is(err, ErrRecord) {
		t.Errorf("again: got %v", err)
	}
}

func TestEveryBitOfARecordCounts(t *testing.T) {
	s, o := pair(AESGCM)
	sealed := seal(t, &s, "text")[HeadLen:]
	for i := range 8 * len(sealed) {
		bad := bytes.Clone(sealed)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := o.Open(bad); !errors.Is(err, ErrRecord) {
			t.Errorf("bit %d: got %v", i, err)
		}
	}
}

func TestRecordsAreRefused(t *testing.T) {
	var s Sealer
	var o inOrder
	if _, err := s.Seal(make([]byte, 10, 100)); !errors.Is(err, ErrSpent) {
		t.Errorf("without a key: got %v", err)
	}
	if _, err := o.Open(make([]byte, 100)); !errors.Is(err, ErrRecord) {
		t.Errorf("without a key: got %v", err)
	}
	s, o = pair(AESGCM)
	for _, n := range []int{0, HeadLen, MaxRecord - Overhead + 1} {
		if _, err := s.Seal(make([]byte, n, n+Overhead)); !errors.Is(err, ErrSpent) {
			t.Errorf("%d bytes: got %v", n, err)
		}
	}
	for n := range Overhead + 1 {
		if _, err := o.Open(make([]byte, n)); !errors.Is(err, ErrRecord) {
			t.Errorf("%d bytes: got %v", n, err)
		}
	}
}

func TestAKeySealsNoMoreThanItMay(t *testing.T) {
	s, _ := pair(AESGCM)
	s.next, s.used = MaxRecords-1, MaxRecords-1
	seal(t, &s, "last")
	if _, err := s.Seal(append(make([]byte, HeadLen, 100), "more"...)); !errors.Is(err, ErrSpent) {
		t.Errorf("got %v", err)
	}
	s.Turn(AESGCM, Key{2})
	if seal(t, &s, "on"); s.next != MaxRecords+1 {
		t.Errorf("the number is %d: it begins anew with a key", s.next)
	}
}

func TestNoNumberIsSealedTwice(t *testing.T) {
	seen := map[string]bool{}
	Watch = func(_ Cipher, k Key, n uint64) {
		if id := fmt.Sprintf("%x %d", [32]byte(k), n); seen[id] {
			t.Errorf("number %d comes twice", n)
		} else {
			seen[id] = true
		}
	}
	defer func() { Watch = nil }()
	s, _ := pair(AESGCM)
	for _, n := range []uint32{0, 1, 1, 0, 5, 4, 5, 6} {
		s.SealMessage(n, append(make([]byte, 4, 100), "x"...), 4)
	}
	seal(t, &s, "a record among them")
	if len(seen) != 5 {
		t.Errorf("got %d, want 5", len(seen))
	}
}

func TestMessagesOpenOnceInAnyOrder(t *testing.T) {
	forCiphers(t, func(t *testing.T, c Cipher) {
		var s Sealer
		var o Opener
		s.Turn(c, Key{1})
		o.Turn(7, c, Key{1}, true)
		var all [][]byte
		for i := range uint32(50) {
			if i == 25 {
				s.Turn(c, Key{2})
				o.Turn(8, c, Key{2}, true)
			}
			m, err := s.SealMessage(i, append(make([]byte, 5, 100), fmt.Sprint(i)...), 5)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, m[5:])
		}
		for _, again := range []bool{false, true} {
			for _, i := range rand.Perm(50) {
				got, err := o.Open(uint16(7+i/25), uint64(i), bytes.Clone(all[i]))
				if again && !errors.Is(err, ErrRepeated) || !again && (err != nil || string(got) != fmt.Sprint(i)) {
					t.Errorf("message %d: got %q %v", i, got, err)
				}
			}
		}
	})
}

func TestAForgedNumberMarksNothing(t *testing.T) {
	var s Sealer
	var o Opener
	s.Turn(AESGCM, Key{1})
	o.Turn(0, AESGCM, Key{1}, true)
	m, _ := s.SealMessage(0, append(make([]byte, 4, 100), "x"...), 4)
	for _, n := range []uint64{1, 2000, 1<<32 - 1} {
		if _, err := o.Open(0, n, bytes.Clone(m[4:])); !errors.Is(err, ErrRecord) {
			t.Errorf("number %d: got %v", n, err)
		}
	}
	if _, err := o.Open(9, 0, bytes.Clone(m[4:])); !errors.Is(err, ErrRecord) {
		t.Errorf("of another generation: got %v", err)
	}
	if _, err := o.Open(0, 0, m[4:]); err != nil {
		t.Errorf("got %v", err)
	}
}

// A Window says what a set of all numbers would, but for what is too old.
func TestAWindowIsASet(t *testing.T) {
	var w Window
	seen := map[uint64]bool{}
	var highest uint64
	for i := range 20000 {
		n := uint64(rand.Int64N(3000)) + uint64(i)
		if i%997 == 0 {
			n += 5000
		}
		fresh := !seen[n] && n+WindowSize > highest
		if got := w.Take(n); got != fresh {
			t.Fatalf("%d, highest %d: got %v", n, highest, got)
		}
		seen[n], highest = true, max(highest, n)
	}
}

func TestKeysShowThemselvesToNobody(t *testing.T) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, Key{1}); got != "[hidden key]" {
			t.Errorf("%s shows %s", verb, got)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	for name, c := range map[string]Cipher{"AES-256-GCM": AESGCM, "ChaCha20-Poly1305": ChaCha20Poly1305} {
		for _, n := range []int{100, 1400, 16 << 10, MaxRecord - HeadLen - Overhead} {
			b.Run(fmt.Sprint(name, "/", n), func(b *testing.B) {
				s, o := pair(c)
				buf := make([]byte, MaxRecord)
				b.ReportAllocs()
				b.SetBytes(int64(n))
				for b.Loop() {
					if s.used == MaxRecords {
						s.used = 0
					}
					sealed, err := s.Seal(buf[:HeadLen+n])
					if err != nil {
						b.Fatal(err)
					}
					if _, err := o.Open(sealed[HeadLen:]); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
