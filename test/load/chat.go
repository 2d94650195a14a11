package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"culvert/internal/seal"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// open is one client: a socket, a tunnel, one byte echoed.
func open(ctx context.Context, origin string, keys seal.ClientKeys) (io.Closer, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", origin)
	if err != nil {
		return nil, err
	}
	token := http.Cookie{Name: wire.TokenCookie, Value: wire.NewToken(keys.User, keys.Token, time.Now())}
	s, _, err := transport.Upgrade(ctx, conn, origin, wire.DoorPath, http.Header{"Cookie": {token.String()}})
	if err != nil {
		return nil, err
	}
	s.Start(transport.Owner{})
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	if err := chat(s, keys); err != nil {
		s.Close()
		return nil, fmt.Errorf("chat: %w", err)
	}
	return s, nil
}

// chat opens a tunnel with one early byte and waits until it comes back.
func chat(s transport.Transport, keys seal.ClientKeys) error {
	var b [8]byte
	rand.Read(b[:])
	id := wire.TunnelID(binary.BigEndian.Uint64(b[:]) | 1)
	payload, pending, err := seal.NewClient(keys, time.Now).Open(id, wire.Service{Kind: wire.Chat}, []byte("x"))
	if err != nil {
		return err
	}
	frame := make([]byte, wire.HeaderLen, wire.HeaderLen+len(payload))
	wire.Put(frame, wire.Header{Kind: wire.Open, Len: len(payload), Tunnel: id})
	if err := s.WriteMessage(append(frame, payload...)); err != nil {
		return err
	}
	in := frames{Transport: s}
	var k *seal.Keys
	for {
		h, payload, err := in.next()
		switch {
		case err != nil:
			return err
		case h.Kind == wire.Accept && k == nil: // it may come twice
			if k, err = pending.Finish(payload); err != nil {
				return err
			}
		case h.Kind == wire.Data && k != nil:
			return echoed(s, k, h, payload)
		case h.Kind == wire.Reset:
			return errors.New(wire.Reason(h.Seq).String())
		}
	}
}

func echoed(s transport.Transport, k *seal.Keys, h wire.Header, payload []byte) error {
	data, err := k.Open(payload, h.Kind, h.Seq)
	if err != nil || string(data) != "x" {
		return fmt.Errorf("got %q, want what was sent: %w", data, err)
	}
	ack := make([]byte, wire.HeaderLen)
	wire.Put(ack, wire.Header{Kind: wire.Ack, Tunnel: h.Tunnel, Ack: 1, Window: wire.FirstWindow})
	return s.WriteMessage(ack)
}

// frames of the message that is being read.
type frames struct {
	transport.Transport
	r io.Reader
}

// next reads one frame.
func (f *frames) next() (wire.Header, []byte, error) {
	for {
		if f.r == nil {
			r, err := f.NextMessage()
			if err != nil {
				return wire.Header{}, nil, err
			}
			f.r = r
		}
		var head [wire.HeaderLen]byte
		if _, err := io.ReadFull(f.r, head[:]); err == io.EOF {
			f.r = nil
			continue
		} else if err != nil {
			return wire.Header{}, nil, err
		}
		h, err := wire.Parse(head[:])
		if err != nil {
			return h, nil, err
		}
		payload := make([]byte, h.Len)
		_, err = io.ReadFull(f.r, payload)
		return h, payload, err
	}
}
