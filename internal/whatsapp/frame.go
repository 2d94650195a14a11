package whatsapp

import (
	"errors"
	"io"
)

// errFrameSize means the peer announced a frame that is empty or larger than the
// reader takes.
var errFrameSize = errors.New("frame of a size not expected")

// appendFrame writes data as a frame; its length must fit into 3 bytes, big-endian.
func appendFrame(b, data []byte) []byte {
	n := len(data)
	return append(append(b, byte(n>>16), byte(n>>8), byte(n)), data...)
}

// readFrame reads one frame of at most limit bytes into buf, which it may
// replace by a larger one, and returns it.
func readFrame(r io.Reader, buf []byte, limit int) ([]byte, error) {
	var head [3]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
	if n == 0 || n > limit {
		return nil, errFrameSize
	}
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	if _, err := io.ReadFull(r, buf[:n]); err != nil {
		return nil, notEOF(err)
	}
	return buf[:n], nil
}

// notEOF makes an end amid a frame an unexpected one.
func notEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
