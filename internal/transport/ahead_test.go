package transport

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/iotest"
)

// What is read ahead is read whole and in order, by pieces of all sizes, and the buffer goes back.
func TestWhatIsReadAheadIsReadInOrder(t *testing.T) {
	t.Parallel()
	sent := bytes.Repeat([]byte("0123456789abcdef!"), 1000)
	for name, by := range map[string]func(io.Reader) io.Reader{
		"bytes": iotest.OneByteReader, "halves": iotest.HalfReader, "as much as there is": func(r io.Reader) io.Reader { return r },
	} {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			far.Write(sent[:3000])
			far.Write(sent[3000:])
		}()
		w := newMessageWriter(near)
		w.lends, w.first = true, []byte("first")
		got, err := io.ReadAll(by(w))
		if err != nil || string(got) != "first"+string(sent) {
			t.Errorf("%s: got %d bytes and %v, want the %d that were sent", name, len(got), err, len(sent)+5)
		}
		if w.ahead != nil || w.first != nil {
			t.Errorf("%s: a buffer is held after all was read", name)
		}
		near.Close()
	}
}
