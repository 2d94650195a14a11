package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"culvert/internal/seal"
	"culvert/internal/wire"
	"culvert/origin"
	"culvert/test/frames"
)

// hand is a client that is written by hand, from the protocol alone, on
// WebSocket frames that no library writes.
type hand struct {
	t    testing.TB
	conn net.Conn
	from io.Reader // what comes from the server
	in   []byte    // the rest of the message that is being read
	let  bool      // an Accept has come
	seal *seal.Client
}

func (w *world) hand(addr string, user uint32) *hand {
	w.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	must(w, err)
	w.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	from, err := frames.Dial(conn, addr, "/", http.Header{"Cookie": {wire.TokenCookie + "=" + w.token(user)}})
	must(w, err)
	return &hand{t: w, conn: conn, from: from, seal: seal.NewClient(w.master.Client(user), time.Now)}
}

func frame(h wire.Header, payload []byte) []byte {
	h.Len = len(payload)
	b := make([]byte, wire.HeaderLen, wire.HeaderLen+len(payload))
	wire.Put(b, h)
	return append(b, payload...)
}

func (h *hand) send(all ...[]byte) {
	h.t.Helper()
	_, err := h.conn.Write(frames.Masked(frames.Binary, true, bytes.Join(all, nil)))
	must(h.t, err)
}

// message is the next message. The server's pings are not answered: nobody waits
// for that here.
func (h *hand) message() (msg []byte, err error) {
	for {
		head, payload, err := frames.Read(h.from, wire.MaxMessage)
		switch {
		case err != nil:
			return nil, err
		case head.Opcode == frames.Close:
			return nil, io.EOF
		case head.Opcode.IsControl():
			continue
		}
		msg = append(msg, payload...)
		if head.Fin {
			return msg, nil
		}
	}
}

// next is the next frame but for acks, a second Accept, and pings, which it
// answers.
func (h *hand) next() (wire.Header, []byte, error) {
	for {
		for len(h.in) == 0 {
			msg, err := h.message()
			if err != nil {
				return wire.Header{}, nil, err
			}
			h.in = msg
		}
		head, err := wire.Parse(h.in)
		if err != nil {
			return head, nil, err
		}
		payload := h.in[wire.HeaderLen : wire.HeaderLen+head.Len]
		h.in = h.in[wire.HeaderLen+head.Len:]
		switch head.Kind {
		case wire.Ping:
			h.send(frame(wire.Header{Kind: wire.Pong, Seq: head.Seq}, nil))
		case wire.Ack, wire.Pong:
		case wire.Accept:
			if !h.let {
				h.let = true
				return head, payload, nil
			}
		default:
			return head, payload, nil
		}
	}
}

func (h *hand) want(kind wire.Kind) (wire.Header, []byte) {
	h.t.Helper()
	head, payload, err := h.next()
	if err != nil || head.Kind != kind {
		h.t.Fatalf("got a frame of kind %d and %v, want kind %d", head.Kind, err, kind)
	}
	return head, payload
}

// open opens a tunnel for an order.
func (h *hand) open(id wire.TunnelID, o order) (openFrame []byte, keys *seal.Keys) {
	h.t.Helper()
	payload, pending, err := h.seal.Open(id, wire.Service{Kind: wire.Chat}, o.bytes())
	must(h.t, err)
	openFrame = frame(wire.Header{Kind: wire.Open, Tunnel: id}, payload)
	h.send(openFrame)
	_, accept := h.want(wire.Accept)
	keys, err = pending.Finish(accept)
	must(h.t, err)
	return openFrame, keys
}

func TestAnotherWebSocketImplementationSpeaksTheProtocol(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.origin()
	id := wire.TunnelID(77)
	for door, addr := range map[string]string{"origin": o.addr, "edge": w.edge(o.addr).addr} {
		h := w.hand(addr, 7)
		id++ // the last one may not have ended yet
		_, keys := h.open(id, order{Do: echo})
		pos, back := uint64(orderLen), uint64(0)
		for _, text := range []string{"hello", "there"} {
			sealed := keys.Seal([]byte(text), wire.Data, pos)
			h.send(frame(wire.Header{Kind: wire.Data, Tunnel: id, Seq: pos, Ack: back, Window: wire.FirstWindow}, sealed))
			pos += uint64(len(text))
			for got := ""; got != text; {
				head, payload := h.want(wire.Data)
				plain, err := keys.Open(payload, wire.Data, head.Seq)
				if err != nil || head.Seq != back {
					t.Fatalf("%s: got a frame at %d and %v, want one at %d", door, head.Seq, err, back)
				}
				got += string(plain)
				back += uint64(len(plain))
			}
		}
		h.send(frame(wire.Header{Kind: wire.Fin, Tunnel: id, Seq: pos, Ack: back, Window: wire.FirstWindow}, keys.Seal(nil, wire.Fin, pos)))
		head, payload := h.want(wire.Fin)
		if _, err := keys.Open(payload, wire.Fin, head.Seq); err != nil || head.Seq != back {
			t.Errorf("%s: got a Fin at %d and %v, want one at %d", door, head.Seq, err, back)
		}
		h.send(frame(wire.Header{Kind: wire.Ack, Tunnel: id, Ack: back + 1, Window: 0}, nil))
		if err := <-w.up.ended; err != nil {
			t.Errorf("%s: upstream: %v", door, err)
		}
	}
}

// Whoever has stolen a token, or has one of another user, gets a carrier and
// nothing by it: neither a tunnel nor a part in another's.
func TestOthersTunnelsCannotBeTouched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.origin()
	victim := w.hand(o.addr, 1)
	const id = 4711
	opening, keys := victim.open(id, order{Do: echo})
	pos, back := uint64(orderLen), uint64(0)
	says := func(text string) {
		victim.send(frame(wire.Header{Kind: wire.Data, Tunnel: id, Seq: pos, Ack: back, Window: wire.FirstWindow}, keys.Seal([]byte(text), wire.Data, pos)))
		head, payload := victim.want(wire.Data)
		if plain, err := keys.Open(payload, wire.Data, head.Seq); err != nil || string(plain) != text {
			t.Errorf("got %q and %v, want %q", plain, err, text)
		}
		pos, back = pos+uint64(len(text)), back+uint64(len(text))
	}
	says("mine")
	for user, who := range map[uint32]string{1: "who replays a token", 2: "another user"} {
		thief := w.hand(o.addr, user)
		attach := keys.Seal(nil, wire.Attach, seal.ControlPos|1)
		thief.send(opening) // replayed
		garbage := bytes.Clone(attach)
		garbage[0] ^= 1
		for _, f := range [][]byte{
			frame(wire.Header{Kind: wire.Attach, Tunnel: id, Seq: 9}, garbage),
			frame(wire.Header{Kind: wire.Data, Tunnel: id, Seq: uint64(orderLen)}, make([]byte, 40)),
		} {
			thief = w.hand(o.addr, user) // as a frame that does not open costs the carrier
			thief.send(f)
			for {
				head, _, err := thief.next()
				if err != nil {
					break
				}
				if head.Kind == wire.Data || head.Kind == wire.Accept {
					t.Errorf("%s: got a frame of kind %d, want none of the tunnel's", who, head.Kind)
				}
				if head.Kind == wire.Reset {
					break
				}
			}
		}
	}
	stranger := w.hand(o.addr, 2)
	stranger.send(frame(wire.Header{Kind: wire.Reset, Tunnel: id, Seq: uint64(wire.Aborted)}, nil),
		frame(wire.Header{Kind: wire.Ping, Seq: 5}, nil))
	stranger.send(frame(wire.Header{Kind: wire.Attach, Tunnel: id, Seq: 5}, keys.Seal(nil, wire.Attach, seal.ControlPos|5)))
	if head, _ := stranger.want(wire.Reset); wire.Reason(head.Seq) != wire.Unknown {
		t.Errorf("got %v, want %v, also for a genuine Attach", wire.Reason(head.Seq), wire.Unknown)
	}
	says("still mine")
}

func TestAReplayedOpeningIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	counters := prometheus.NewRegistry()
	o := w.origin(func(c *origin.Config) { c.Metrics = counters })
	victim := w.hand(o.addr, 1)
	opening, keys := victim.open(11, order{Do: endFirst, Up: 0, Down: 4})
	victim.want(wire.Data)
	head, _ := victim.want(wire.Fin)
	victim.send(frame(wire.Header{Kind: wire.Fin, Tunnel: 11, Seq: uint64(orderLen), Ack: head.Seq + 1, Window: 0}, keys.Seal(nil, wire.Fin, uint64(orderLen))))
	<-w.up.ended
	wantSoon(t, 5*time.Second, "the tunnel to end", func() bool { return gauge(t, counters, "culvert_tunnels") == 0 })
	thief := w.hand(o.addr, 1)
	thief.send(opening)
	if head, _ := thief.want(wire.Reset); wire.Reason(head.Seq) != wire.Refused {
		t.Errorf("got %v, want %v", wire.Reason(head.Seq), wire.Refused)
	}
	if got := w.up.live(); got != 0 {
		t.Errorf("got %d streams at the server, want none by a replay", got)
	}
}

func gauge(t testing.TB, r *prometheus.Registry, name string) float64 {
	t.Helper()
	all, err := r.Gather()
	must(t, err)
	for _, m := range all {
		if m.GetName() == name {
			return m.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func TestARevokedUserOpensNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.origin(revoke666)
	n := w.client(666, o.addr)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := n.WaitReady(ctx)
	if err == nil {
		t.Fatal("got a carrier, want none")
	}
	t.Log(err)
}

// Windows count bytes; buffers must not cost much more, whatever the size of
// the frames. It runs alone, as it measures the heap.
func TestSmallFramesDoNotFillTheOriginsMemory(t *testing.T) {
	w := newWorld(t)
	never := func(ctx context.Context, _ wire.Service) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	o := w.origin(func(c *origin.Config) { c.Dial = never })
	h := w.hand(o.addr, 1)
	before := heap()
	const tunnels, size = 8, 2100
	for id := wire.TunnelID(1); id <= tunnels; id++ {
		h.let = false
		_, keys := h.open(id, order{})
		for pos := uint64(orderLen); pos+size <= wire.FirstWindow; pos += size {
			h.send(frame(wire.Header{Kind: wire.Data, Tunnel: id, Seq: pos}, keys.Seal(make([]byte, size), wire.Data, pos)))
		}
	}
	h.send(frame(wire.Header{Kind: wire.Ping, Seq: 9}, nil))
	for pong := false; !pong; {
		msg, err := h.message()
		must(t, err)
		for ; len(msg) > 0 && !pong; msg = msg[wire.HeaderLen:] {
			head, err := wire.Parse(msg)
			must(t, err)
			pong = head.Kind == wire.Pong && head.Seq == 9
		}
	}
	each := (heap() - before) / tunnels
	t.Logf("%d KiB for each window of %d KiB", each>>10, wire.FirstWindow>>10)
	if each > 4*wire.FirstWindow {
		t.Errorf("got %d bytes a tunnel, want %d at most", each, 4*wire.FirstWindow)
	}
}
