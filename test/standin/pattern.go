package standin

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
)

// ErrPattern means that bytes which should be Pattern's are not: something on
// the way lost, repeated, moved or changed some.
var ErrPattern = errors.New("bytes are not the pattern's")

// Pattern reads n bytes that look random and are the same each time: AES-CTR
// over zeros with a zero key. No stretch of them repeats, so a shift shows.
func Pattern(n int64) io.Reader {
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		panic(err) // the key has 16 bytes
	}
	stream := cipher.NewCTR(block, make([]byte, aes.BlockSize))
	return io.LimitReader(cipher.StreamReader{S: stream, R: zeros{}}, n)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// CheckPattern reads r to its end and compares it with Pattern(n). The error is
// r's, or ErrPattern with the place.
func CheckPattern(r io.Reader, n int64) error {
	want, at := Pattern(n), int64(0)
	got, ref := make([]byte, 32<<10), make([]byte, 32<<10)
	for {
		k, err := r.Read(got)
		m, _ := io.ReadFull(want, ref[:k])
		if !bytes.Equal(got[:k], ref[:m]) {
			return fmt.Errorf("%w: between byte %d and %d", ErrPattern, at, at+int64(k))
		}
		at += int64(k)
		switch {
		case err == io.EOF && at == n:
			return nil
		case err == io.EOF:
			return fmt.Errorf("%w: got %d, want %d", ErrPattern, at, n)
		case err != nil:
			return err
		}
	}
}
