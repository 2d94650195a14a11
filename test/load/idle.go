package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"culvert/internal/seal"
	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// idle is one client by hand: a session, its only carrier, and a chat of one byte.
type idle struct {
	transport.Transport
	carrier *session.ClientCarrier
}

// open makes an idle client whose byte was echoed. It is closed like a file.
func open(ctx context.Context, origin string, keys seal.ClientKeys) (io.Closer, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	pair, err := seal.NewClientPair(keys)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", origin)
	if err != nil {
		return nil, err
	}
	token := wire.NewToken(keys.User, keys.Token, pair.ProofKey(), time.Now())
	cookie := http.Cookie{Name: wire.TokenCookie, Value: token.Text()}
	s, _, err := transport.Upgrade(ctx, conn, origin, wire.DoorPath, http.Header{"Cookie": {cookie.String()}})
	if err != nil {
		return nil, err
	}
	s.Start(transport.Owner{})
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	c := idle{s, session.NewClient(pair, session.AESGCM).Carrier(session.Stream, token)}
	if err := c.chat(); err != nil {
		s.Close()
		return nil, fmt.Errorf("chat: %w", err)
	}
	return s, nil
}

// tunnel is the number of the only one.
const tunnel = 1

// ackDelay is how long a client's ack waits for company.
const ackDelay = 25 * time.Millisecond

// chat opens a tunnel with one early byte and acks what comes back.
func (c idle) chat() error {
	f, err := c.answer()
	switch {
	case err != nil:
		return err
	case f.Kind == wire.Reset:
		return errors.New(wire.Reason(f.Code).String())
	case string(f.Body) != "x":
		return fmt.Errorf("got %q, want what was sent", f.Body)
	}
	time.Sleep(ackDelay)
	return c.write(wire.Frame{Kind: wire.Ack, Tunnel: tunnel, Pos: 1, Num: wire.FirstWindow})
}

// answer is the first frame that has bytes of the tunnel, or resets it.
func (c idle) answer() (f wire.Frame, err error) {
	for !isAnswer(f) {
		r, err := c.NextMessage()
		if err != nil {
			return f, err
		}
		msg, err := io.ReadAll(r)
		if err != nil {
			return f, err
		}
		for len(msg) > 0 && !isAnswer(f) {
			if f, msg, err = c.take(msg); err != nil {
				return f, err
			}
		}
	}
	return f, nil
}

func isAnswer(f wire.Frame) bool { return f.Kind == wire.Data || f.Kind == wire.Reset }

// take takes the first record or plain message off msg, and returns its answer if it has
// one.
func (c idle) take(msg []byte) (f wire.Frame, rest []byte, err error) {
	plain, body, rest, err := session.Next(msg)
	if err != nil {
		return f, nil, err
	}
	if plain != session.Record {
		event, err := c.carrier.Receive(plain, body, time.Now())
		if err == nil && event&session.Speak != 0 {
			err = c.speak()
		}
		return f, rest, err
	}
	frames, err := c.carrier.Open(0, body)
	for err == nil && len(frames) > 0 && !isAnswer(f) {
		f, frames, err = wire.NextFrame(frames)
	}
	return f, rest, err
}

// speak says what the session has to: first an Agree, under which a tunnel may open at
// once, then what proves that this client is no copy of it.
func (c idle) speak() error {
	if c.carrier.State() != session.Waiting {
		return c.write(wire.Frame{Kind: wire.Ping})
	}
	service := wire.AppendService(nil, wire.Service{Kind: wire.Chat})
	return c.write(wire.Frame{Kind: wire.Open, Tunnel: tunnel, Body: append(service, 'x')})
}

// write sends a frame as a record of its own, with what has to go before it.
func (c idle) write(f wire.Frame) error {
	b, _ := c.carrier.Head(make([]byte, 0, 512), time.Now())
	at := len(b)
	record, err := c.carrier.Seal(f.Append(append(b, 0, 0))[at:])
	if err != nil {
		return err
	}
	return c.WriteMessage(append(b[:at], record...))
}
