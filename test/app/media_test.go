package app

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"culvert/test/standin"
	"culvert/test/standin/standintest"
)

// newMedia is an app beside a stand-in that serves media.
func newMedia(t *testing.T) *Media {
	t.Helper()
	s := standintest.Serve(t)
	m := NewMedia(s.CAs(), Dial(s.Media))
	t.Cleanup(m.Close)
	return m
}

func TestMediaGoesBothWaysOverOneConnection(t *testing.T) {
	t.Parallel()
	m := newMedia(t)
	var passed bytes.Buffer
	pass := func(r io.Reader) io.Reader { return io.TeeReader(r, &passed) }
	const size = 300_000
	if err := m.Download(t.Context(), size, pass); err != nil {
		t.Errorf("download: %v", err)
	}
	if err := m.Upload(t.Context(), size, pass); err != nil {
		t.Errorf("upload: %v", err)
	}
	if passed.Len() != 2*size || m.Dials() != 1 {
		t.Errorf("got %d bytes passed and %d connections, want %d and 1", passed.Len(), m.Dials(), 2*size)
	}
}

// flipping changes the first byte that is read.
type flipping struct {
	io.Reader
	done bool
}

func (f *flipping) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	if n > 0 && !f.done {
		b[0] ^= 1
		f.done = true
	}
	return n, err
}

func TestChangedMediaIsNoticed(t *testing.T) {
	t.Parallel()
	m := newMedia(t)
	flip := func(r io.Reader) io.Reader { return &flipping{Reader: r} }
	if err := m.Download(t.Context(), 1000, flip); !errors.Is(err, standin.ErrPattern) {
		t.Errorf("download: got %v, want ErrPattern", err)
	}
	if err := m.Upload(t.Context(), 1000, flip); !errors.Is(err, ErrMedia) {
		t.Errorf("upload: got %v, want ErrMedia", err)
	}
}
