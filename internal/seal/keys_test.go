package seal

import (
	"bytes"
	"sync"
	"testing"
	"unsafe"

	"culvert/internal/wire"
)

func TestARecordIsGoodForItsPlaceOnly(t *testing.T) {
	t.Parallel()
	e := newEnds()
	near, far := e.keys(t)
	_, otherFar := e.keys(t)
	record := near.Seal([]byte("bytes"), wire.Data, 10)
	for name, open := range map[string]func(b []byte) ([]byte, error){
		"another position":    func(b []byte) ([]byte, error) { return far.Open(b, wire.Data, 11) },
		"a control position":  func(b []byte) ([]byte, error) { return far.Open(b, wire.Data, ControlPos|10) },
		"another kind":        func(b []byte) ([]byte, error) { return far.Open(b, wire.Fin, 10) },
		"the other direction": func(b []byte) ([]byte, error) { return near.Open(b, wire.Data, 10) },
		"another tunnel":      func(b []byte) ([]byte, error) { return otherFar.Open(b, wire.Data, 10) },
		"cut":                 func(b []byte) ([]byte, error) { return far.Open(b[:len(b)-1], wire.Data, 10) },
		"shorter than a tag":  func(b []byte) ([]byte, error) { return far.Open(b[:wire.Overhead-1], wire.Data, 10) },
		"nothing":             func([]byte) ([]byte, error) { return far.Open(nil, wire.Data, 10) },
		"longer":              func(b []byte) ([]byte, error) { return far.Open(append(b, 0), wire.Data, 10) },
	} {
		if got, err := open(bytes.Clone(record)); err != ErrRecord || got != nil {
			t.Errorf("%s: got %q and %v, want %v", name, got, err, ErrRecord)
		}
	}
	for i := range record {
		altered := bytes.Clone(record)
		altered[i] ^= 1
		if _, err := far.Open(altered, wire.Data, 10); err != ErrRecord {
			t.Errorf("byte %d changed: got %v, want %v", i, err, ErrRecord)
		}
	}
	if got, err := far.Open(record, wire.Data, 10); err != nil || string(got) != "bytes" {
		t.Errorf("in its place: got %q and %v, want bytes", got, err)
	}
}

func TestAnAttachIsAnEmptyRecordAtAControlPosition(t *testing.T) {
	t.Parallel()
	near, far := newEnds().keys(t)
	attach := near.Seal(nil, wire.Attach, ControlPos|3)
	if len(attach) != wire.Overhead {
		t.Errorf("got %d bytes, want %d", len(attach), wire.Overhead)
	}
	if _, err := far.Open(bytes.Clone(attach), wire.Attach, ControlPos|4); err != ErrRecord {
		t.Errorf("another epoch: got %v, want %v", err, ErrRecord)
	}
	if got, err := far.Open(attach, wire.Attach, ControlPos|3); err != nil || len(got) != 0 {
		t.Errorf("got %q and %v, want nothing", got, err)
	}
}

func TestSealAndOpenWorkInPlaceWithoutAllocating(t *testing.T) {
	near, far := newEnds().keys(t)
	buf := make([]byte, wire.MaxData, wire.MaxData+wire.Overhead)
	pos := uint64(0)
	round := func() {
		sealed := near.Seal(buf, wire.Data, pos)
		plain, err := far.Open(sealed, wire.Data, pos)
		if err != nil || &sealed[0] != &buf[0] || &plain[0] != &buf[0] || len(plain) != len(buf) {
			t.Fatalf("got %d bytes and %v, want the same %d", len(plain), err, len(buf))
		}
		pos += uint64(len(buf))
	}
	round()
	if got := testing.AllocsPerRun(20, round); got != 0 {
		t.Errorf("got %v allocations a round, want 0", got)
	}
}

func TestForgottenCiphersAreMadeAgain(t *testing.T) {
	t.Parallel()
	near, far := newEnds().keys(t)
	first := near.Seal([]byte("bytes"), wire.Data, 1)
	near.Forget()
	far.Forget()
	same(t, "sealed again", near.Seal([]byte("bytes"), wire.Data, 1), first)
	speak(t, near, far)
}

func TestIdleKeysAreEightyBytes(t *testing.T) {
	t.Parallel()
	if got := unsafe.Sizeof(Keys{}); got > 80 {
		t.Errorf("got %d bytes, want at most 80", got)
	}
	near, far := newEnds().keys(t)
	for _, h := range []*half{&near.sealer, &near.opener, &far.sealer, &far.opener} {
		if h.record.Load() != nil {
			t.Error("a fresh tunnel holds a cipher before its first record")
		}
	}
}

func TestOneMaySealOneOpenAndOneForgetAtOnce(t *testing.T) {
	t.Parallel()
	near, far := newEnds().keys(t)
	const records = 200
	var wg sync.WaitGroup
	run := func(sealer, opener *Keys) {
		ch := make(chan []byte, 8)
		wg.Go(func() {
			defer close(ch)
			for pos := range uint64(records) {
				ch <- sealer.Seal([]byte("bytes"), wire.Data, pos)
			}
		})
		wg.Go(func() {
			pos := uint64(0)
			for b := range ch {
				if _, err := opener.Open(b, wire.Data, pos); err != nil {
					t.Errorf("at %d: %v", pos, err)
				}
				pos++
			}
		})
	}
	run(near, far)
	run(far, near)
	wg.Go(func() {
		for range records {
			near.Forget()
			far.Forget()
		}
	})
	wg.Wait()
}
