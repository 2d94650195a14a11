package hostile

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/internal/seal"
	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// device is whoever holds a link and knows the protocol, but has no manners: it opens as
// many carriers as it wants and says by them what it likes.
type device struct {
	keys    seal.ClientKeys
	pair    *seal.Pair
	session *session.Client
	door    string        // of the origin
	from    string        // the address that it comes from; empty: any
	ahead   time.Duration // by which its clock is
}

func (w *world) device(number uint32) *device {
	w.Helper()
	keys := w.master.Client(number)
	pair, err := seal.NewClientPair(keys)
	must(w, err)
	return &device{keys: keys, pair: pair, session: session.NewClient(pair, session.AESGCM), door: w.door}
}

// token is a new one.
func (d *device) token() wire.Token {
	return wire.NewToken(d.keys.User, d.keys.Token, d.pair.ProofKey(), time.Now().Add(d.ahead))
}

// upgrade asks for a WebSocket by a token.
func (d *device) upgrade(token wire.Token) (transport.Transport, error) {
	conn, err := dialFrom(d.from, d.door)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cookie := http.Cookie{Name: wire.TokenCookie, Value: token.Text()}
	s, _, err := transport.Upgrade(ctx, conn, d.door, wire.DoorPath, http.Header{"Cookie": {cookie.String()}})
	if err != nil {
		return nil, err
	}
	s.Start(transport.Owner{})
	return s, nil
}

// rogue is a carrier of a device's, frame by frame.
type rogue struct {
	transport.Transport
	carrier *session.ClientCarrier
	heard   func(wire.Frame)      // told of each frame; must not keep its body. nil: nobody is
	ended   atomic.Pointer[error] // why it has

	mu sync.Mutex // held while a record is made and written
}

// carrier is one that has proved itself, by the session of the device's. heard may be nil.
func (d *device) carrier(heard func(wire.Frame)) (*rogue, error) {
	token := d.token()
	s, err := d.upgrade(token)
	if err != nil {
		return nil, err
	}
	r := &rogue{Transport: s, carrier: d.session.Carrier(session.Stream, token), heard: heard}
	proved := make(chan error, 1)
	go r.read(proved)
	select {
	case err = <-proved:
	case <-time.After(20 * time.Second):
		err = errors.New("the origin does not agree")
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return r, nil
}

// begin is carrier, of a session of its own.
func (d *device) begin() (*rogue, error) {
	d.session = session.NewClient(d.pair, session.AESGCM)
	return d.carrier(nil)
}

// read answers plain messages and reads all else until the carrier ends.
func (r *rogue) read(proved chan<- error) {
	for {
		m, err := r.NextMessage()
		if err == nil {
			err = r.take(m, proved)
		}
		if err != nil {
			r.ended.Store(&err)
			select {
			case proved <- err:
			default:
			}
			return
		}
	}
}

func (r *rogue) take(m io.Reader, proved chan<- error) error {
	msg, err := io.ReadAll(m)
	for err == nil && len(msg) > 0 {
		var plain session.Plain
		var body []byte
		if plain, body, msg, err = session.Next(msg); err != nil {
			return err
		}
		if plain == session.Record {
			err = r.open(body, proved)
			continue
		}
		event, bad := r.carrier.Receive(plain, body, time.Now())
		if err = bad; err == nil && event&session.Speak != 0 {
			err = r.write(wire.Frame{Kind: wire.Ping})
		}
	}
	return err
}

func (r *rogue) open(body []byte, proved chan<- error) error {
	frames, err := r.carrier.Open(0, body)
	for err == nil && len(frames) > 0 {
		var f wire.Frame
		if f, frames, err = wire.NextFrame(frames); err != nil {
			break
		}
		if f.Kind == wire.Pong {
			select {
			case proved <- nil:
			default:
			}
		}
		if r.heard != nil {
			r.heard(f)
		}
	}
	return err
}

// write sends frames as a record of their own, with what has to go before it.
func (r *rogue) write(frames ...wire.Frame) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, ok := r.carrier.Head(make([]byte, 0, 1024), time.Now())
	if !ok || r.carrier.State() == session.Agreeing && frames[0].Kind == wire.Ping {
		frames = []wire.Frame{{Kind: wire.Pad}}
	}
	at := len(b)
	if ok {
		b = append(b, 0, 0)
		for _, f := range frames {
			b = f.Append(b)
		}
		record, err := r.carrier.Seal(b[at:])
		if err != nil {
			return err
		}
		b = append(b[:at], record...)
	}
	return r.WriteMessage(b)
}

// open is a frame that opens a tunnel for chat.
func open(tunnel uint32, early string) wire.Frame {
	return wire.Frame{Kind: wire.Open, Tunnel: tunnel, Body: append(wire.AppendService(nil, wire.Service{Kind: wire.Chat}), early...)}
}

// opens opens tunnels by a carrier, some in each record.
func (r *rogue) opens(first, last uint32, early string) error {
	for id := first; id <= last; {
		var some []wire.Frame
		for ; id <= last && len(some) < 32; id++ {
			some = append(some, open(id, early))
		}
		if err := r.write(some...); err != nil {
			return err
		}
	}
	return nil
}

// strangers open connections to an address and send hello by each, from addresses that
// from names by number. They stay.
func strangers(t testing.TB, held *crowd, n int, to, hello string, from func(i int) string) (refused int) {
	t.Helper()
	for i := range n {
		c, err := dialFrom(from(i), to)
		if err != nil {
			refused++
			continue
		}
		io.WriteString(c, hello)
		held.add(c)
	}
	return refused
}

// one is the address that all come from, such as a CDN's.
func one(int) string { return "127.0.0.1" }

// scattered are addresses of many prefixes.
func scattered(i int) string { return net.IPv4(127, byte(1+i%100), byte(i/100%250), 7).String() }
