package seal

import (
	"testing"
	"time"

	"culvert/internal/wire"
)

var chat = wire.Service{Kind: wire.Chat}

// What a tunnel costs both ends before its first byte is through.
func BenchmarkHandshake(b *testing.B) {
	m := NewMaster()
	client, server := NewClient(m.Client(7), time.Now), NewServer(m, time.Now)
	early := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		open, pending, _ := client.Open(1, chat, early)
		opened, err := server.Accept(1, 7, open)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := pending.Finish(opened.Accept); err != nil {
			b.Fatal(err)
		}
	}
}

// What a tunnel costs the client.
func BenchmarkHandshakeClient(b *testing.B) {
	m := NewMaster()
	client, server := NewClient(m.Client(7), time.Now), NewServer(m, time.Now)
	b.ReportAllocs()
	for b.Loop() {
		open, pending, _ := client.Open(1, chat, nil)
		b.StopTimer()
		opened, _ := server.Accept(1, 7, open)
		b.StartTimer()
		if _, err := pending.Finish(opened.Accept); err != nil {
			b.Fatal(err)
		}
	}
}

// What a tunnel costs the origin.
func BenchmarkHandshakeOrigin(b *testing.B) {
	m := NewMaster()
	client, server := NewClient(m.Client(7), time.Now), NewServer(m, time.Now)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		open, _, _ := client.Open(1, chat, nil)
		b.StartTimer()
		if _, err := server.Accept(1, 7, open); err != nil {
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
