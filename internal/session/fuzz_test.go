package session

import (
	"bytes"
	"testing"

	"culvert/internal/wire"
)

// What Next and Cut find, put together, is what they were given.
func FuzzNext(f *testing.F) {
	f.Add([]byte{0, 5, 1, 0, 17})
	f.Add([]byte{0, 7, 2, 9, 9, 0, 6})
	f.Add(append([]byte{0, 17}, make([]byte, 17)...))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, body, rest, err := Next(in)
		if err != nil {
			return
		}
		long := len(body)
		if p == Fill {
			long -= int(body[0])
		}
		n := len(in) - len(body) - len(rest)
		if n != wire.RecordHead || !bytes.Equal(append(append(bytes.Clone(in[:n]), body...), rest...), in) || p != Record && long != plainLen[p] {
			t.Errorf("got %v %x %x of %x", p, body, rest, in)
		}
	})
}

func FuzzHello(f *testing.F) {
	f.Add(make([]byte, 50))
	f.Add(make([]byte, 25))
	f.Fuzz(func(t *testing.T, in []byte) {
		if h, err := parseHello(in); err == nil && !bytes.Equal(h.bytes(), in) {
			t.Errorf("put back %x, want %x", h.bytes(), in)
		}
	})
}

// Whatever comes, in whatever state, at both ends and doors, ends a carrier at most.
func FuzzCarrier(f *testing.F) {
	for state := range byte(16) {
		f.Add(state, append([]byte{0, 0, 0, 9, 0, 5, 1, 0, 17}, make([]byte, 17)...))
		f.Add(state, append([]byte{0, 2}, make([]byte, 60)...))
	}
	w := newWorld(f)
	s := w.client(1)
	w.dial(s, 1, Stream, w.process).talk(f)
	f.Fuzz(func(t *testing.T, state byte, in []byte) {
		d := Door(1 + state&1)
		l := w.dial(s, 1, d, w.process)
		if state&2 != 0 {
			l.talk(t)
		}
		to := l.near
		if state&4 != 0 {
			to = l.far
		}
		if d == Gateway && len(in) < 4 {
			return
		}
		seen := len(to.seen)
		to.hear(in, w.now)
		if len(to.seen) != seen {
			t.Errorf("%x opened", in)
		}
		w.dial(s, 1, Stream, w.process).talk(t)
	})
}
