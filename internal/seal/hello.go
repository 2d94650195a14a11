package seal

import (
	"encoding/binary"
	"fmt"

	"culvert/internal/wire"
)

// hello is what a first message holds.
//
//	 0  version  1  1
//	 1  time     8  Unix seconds
//	 9  user     4
//	13  service     as wire.AppendService writes it
//	 …  early       bytes of the stream, at most wire.MaxEarly
//
// All numbers are big-endian.
type hello struct {
	time    int64
	user    uint32
	service wire.Service
	early   []byte
}

const (
	helloVersion = 1
	helloFixed   = 13
	maxService   = 2 + 253
	maxHello     = helloFixed + maxService + wire.MaxEarly
)

// append fails if a hello may not hold the service or that many early bytes.
func (h hello) append(b []byte) ([]byte, error) {
	if len(h.early) > wire.MaxEarly {
		return nil, fmt.Errorf("open: %d early bytes are more than %d", len(h.early), wire.MaxEarly)
	}
	b = append(b, helloVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(h.time))
	b = binary.BigEndian.AppendUint32(b, h.user)
	service := len(b)
	b = wire.AppendService(b, h.service)
	if s, rest, err := wire.ParseService(b[service:]); err != nil || s != h.service || len(rest) > 0 {
		return nil, fmt.Errorf("open: %w", wire.ErrService)
	}
	return append(b, h.early...), nil
}

// parseHello reads a hello; its early bytes alias b.
func parseHello(b []byte) (hello, error) {
	if len(b) < helloFixed || b[0] != helloVersion {
		return hello{}, ErrHandshake
	}
	h := hello{time: int64(binary.BigEndian.Uint64(b[1:])), user: binary.BigEndian.Uint32(b[9:])}
	var err error
	if h.service, h.early, err = wire.ParseService(b[helloFixed:]); err != nil || len(h.early) > wire.MaxEarly {
		return hello{}, ErrHandshake
	}
	return h, nil
}
