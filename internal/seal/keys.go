package seal

import (
	"sync/atomic"

	"culvert/internal/wire"
)

// Keys is one end's keys of one tunnel, one for each direction. One goroutine
// at a time may call Seal, and one at a time Open; the two and Forget may run
// at once. Do not copy it.
//
// Idle it is 80 bytes. A direction that is in use holds its expanded cipher
// too, 1,312 bytes, made at its first record and dropped by Forget.
type Keys struct {
	hidden
	sealer, opener half
}

type half struct {
	key    [32]byte
	record atomic.Pointer[record]
}

func newKeys(sealer, opener *[32]byte) *Keys {
	k := new(Keys)
	k.sealer.key, k.opener.key = *sealer, *opener
	return k
}

// Seal encrypts buf in place and appends the tag, for which buf needs
// wire.Overhead bytes of capacity; with less, the result is a new slice.
//
// The caller never seals two different payloads at one position: who sees
// both can read and forge. Sending the same bytes again is safe. Positions of
// control frames carry ControlPos.
func (k *Keys) Seal(buf []byte, kind wire.Kind, pos uint64) []byte {
	r := k.sealer.use(kind, pos)
	return r.aead.Seal(buf[:0], r.nonce[:], buf, r.kind[:])
}

// Open decrypts buf in place and cuts the tag off. The error is ErrRecord; the
// contents of buf are lost then.
func (k *Keys) Open(buf []byte, kind wire.Kind, pos uint64) ([]byte, error) {
	r := k.opener.use(kind, pos)
	plain, err := r.aead.Open(buf[:0], r.nonce[:], buf, r.kind[:])
	if err != nil {
		return nil, ErrRecord
	}
	return plain, nil
}

// Forget drops the expanded ciphers of a tunnel that is idle. The next record
// of each direction makes its own again, in half a microsecond.
func (k *Keys) Forget() {
	k.sealer.record.Store(nil)
	k.opener.record.Store(nil)
}

func (h *half) use(kind wire.Kind, pos uint64) *record {
	r := h.record.Load()
	if r == nil {
		r = newRecord(&h.key)
		h.record.Store(r)
	}
	r.at(pos)
	r.kind[0] = byte(kind)
	return r
}
