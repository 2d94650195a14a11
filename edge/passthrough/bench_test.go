package passthrough

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"
)

// BenchmarkDown is one socket's download in writes of 64 KiB, all four ends in
// this process.
func BenchmarkDown(b *testing.B) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		b.Run(name, func(b *testing.B) {
			size := int64(b.N) * fullRead
			r := newRig(b, secure, rawDoor("", func(c net.Conn, _ *bufio.Reader) {
				c.SetDeadline(time.Time{})
				chunk := make([]byte, fullRead)
				for range b.N {
					c.Write(chunk)
				}
			}), Options{})
			c, in := r.open(b)
			c.SetDeadline(time.Time{})
			b.SetBytes(fullRead)
			b.ReportAllocs()
			b.ResetTimer()
			if n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{in}, make([]byte, fullRead)); n != size {
				b.Fatalf("got %d bytes, want %d", n, size)
			}
		})
	}
}
