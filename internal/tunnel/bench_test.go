package tunnel

import (
	"io"
	"testing"
)

// One frame through a pair of tunnels over memory, the whole way: stream, record,
// carrier, record, stream.
func BenchmarkFrame(b *testing.B) {
	for name, size := range map[string]int{"100 B": 100, "4 KiB": 4 << 10, "64 KiB": 64<<10 - 100} {
		b.Run(name, func(b *testing.B) {
			n := newNet(b)
			defer n.stop()
			c, _ := n.carrier(fate{}, fate{})
			app, tun := n.dial(c, nil)
			service := <-n.service(tun.number())
			buf, got := make([]byte, size), make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				app.Write(buf)
				io.ReadFull(service, got)
			}
		})
	}
}
