package seal

import (
	"testing"
	"time"

	"culvert/internal/wire"
)

var chat = wire.Service{Kind: wire.Chat}

// What a tunnel costs before its first byte is through: both ends, the client
// and the origin alone; with a full handshake, and resumed.
func BenchmarkOpen(b *testing.B) {
	m := NewMaster()
	client, server := NewClient(m.Client(7), time.Now), NewServer(m, time.Now)
	for name, begin := range map[string]opener{"full": client.OpenAnew, "resumed": client.Open} {
		b.Run(name+"/both", func(b *testing.B) { benchmarkOpen(b, begin, server, func() {}, func() {}) })
		b.Run(name+"/client", func(b *testing.B) { benchmarkOpen(b, begin, server, b.StopTimer, b.StartTimer) })
		b.Run(name+"/origin", func(b *testing.B) {
			b.StopTimer()
			benchmarkOpen(b, begin, server, b.StartTimer, b.StopTimer)
		})
	}
}

type opener func(wire.TunnelID, wire.Service, []byte) ([]byte, *Pending, error)

func benchmarkOpen(b *testing.B, begin opener, server *Server, before, after func()) {
	early := make([]byte, 64)
	b.ReportAllocs()
	for i := range b.N {
		if i%100_000 == 0 { // no origin opens so many in so little time
			server.seen = seen{}
			server.seen.init(0, maxSeen)
		}
		open, pending, _ := begin(1, chat, early)
		before()
		opened, err := server.Accept(1, 7, open)
		after()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := pending.Finish(opened.Accept); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	near, far := new(Keys), new(Keys)
	buf := make([]byte, wire.MaxData, wire.MaxData+wire.Overhead)
	sealed := near.Seal(append([]byte(nil), buf...), wire.Data, 0)
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(wire.MaxData)
		for b.Loop() {
			near.Seal(buf, wire.Data, 0)
		}
	})
	b.Run("open", func(b *testing.B) {
		in := make([]byte, len(sealed))
		b.ReportAllocs()
		b.SetBytes(wire.MaxData)
		for b.Loop() {
			copy(in, sealed) // a few µs of the result
			if _, err := far.Open(in, wire.Data, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("after forget", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			near.Forget()
			near.Seal(buf[:0], wire.Data, 0)
		}
	})
}
