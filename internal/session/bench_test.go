package session

import (
	"testing"

	"culvert/internal/wire"
)

func BenchmarkAgree(b *testing.B) {
	w := newWorld(b)
	b.ReportAllocs()
	for b.Loop() {
		w.dial(w.client(1), 1, Stream, w.newOrigin(1)).talk(b)
	}
}

func BenchmarkJoin(b *testing.B) {
	w := newWorld(b)
	s := w.client(1)
	w.dial(s, 1, Stream, w.process).talk(b)
	b.ReportAllocs()
	for b.Loop() {
		w.dial(s, 1, Stream, w.process).talk(b)
	}
}

// The way of a record through both ends: no allocation.
func BenchmarkRecord(b *testing.B) {
	w := newWorld(b)
	l := w.dial(w.client(1), 1, Stream, w.process)
	l.talk(b)
	buf := make([]byte, wire.MaxRecord)
	b.ReportAllocs()
	b.SetBytes(16 << 10)
	for b.Loop() {
		head, ok := l.o.Head(buf[:0], w.now)
		if !ok || len(head) > 0 {
			b.Fatal("the origin may not say anything")
		}
		sealed, err := l.o.Seal(buf[:wire.RecordHead+16<<10])
		if err != nil {
			b.Fatal(err)
		}
		if _, err := l.c.Open(0, sealed[wire.RecordHead:]); err != nil {
			b.Fatal(err)
		}
	}
}
