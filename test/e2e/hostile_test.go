package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/serve"
	"culvert/internal/session"
	"culvert/internal/site"
	"culvert/internal/wire"
	"culvert/origin"
	"culvert/test/frames"
)

// hostile is an edge that sees all that an edge can: tokens, and whole messages, which it
// keeps. It does with them what it likes, and leads carriers to any of some origins.
type hostile struct {
	net     network
	ln      net.Listener
	origins []string // where they listen, in the clear
	every   int64    // one message of so many, about, is not passed on as it came; 0: none

	group  sync.WaitGroup
	wrongs atomic.Int64 // messages that were not passed on as they came
	astray atomic.Int64 // carriers that were led to another origin than their ticket's
	held   atomic.Int64 // carriers that were held back

	mu     sync.Mutex // guards the following
	random *rand.Rand
	closed bool
	conns  []net.Conn
	kept   [2][][]byte // messages up and down, of all carriers
	shows  []*show
	gave   map[string]int // tickets, and whose they are
}

// show is all that a client has said on one carrier.
type show struct {
	request  []byte
	messages [][]byte
}

func (w *world) hostile(every int64, origins ...string) *hostile {
	w.Helper()
	h := &hostile{net: w.net, ln: w.net.listen(w), origins: origins, every: every, random: rand.New(rand.NewPCG(1, uint64(every))), gave: map[string]int{}}
	h.group.Go(h.accept)
	w.Cleanup(h.close)
	return h
}

func (h *hostile) addr() string { return h.ln.Addr().String() }

func (h *hostile) close() {
	h.ln.Close()
	h.mu.Lock()
	h.closed = true
	for _, c := range h.conns {
		c.Close()
	}
	h.mu.Unlock()
	h.group.Wait()
}

func (h *hostile) accept() {
	for {
		near, err := h.ln.Accept()
		if err != nil {
			return
		}
		h.group.Go(func() {
			defer near.Close()
			h.serve(tls.Server(near, serverTLS(certificate())))
		})
	}
}

// dial reaches an origin of a number.
func (h *hostile) dial(i int) (net.Conn, error) {
	c, err := h.net.dial(context.Background(), "tcp", h.origins[i])
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns = append(h.conns, c)
	if h.closed {
		c.Close()
	}
	return c, nil
}

func (h *hostile) serve(near net.Conn) {
	in := bufio.NewReader(near)
	r, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	i := h.choose(r)
	s := h.show(r)
	if i < 0 {
		h.holdBack(s, r, in, near)
		return
	}
	far, err := h.dial(i)
	if err != nil {
		return
	}
	defer far.Close()
	back, ticket, err := s.upgrade(far, near)
	if err != nil {
		return
	}
	h.learn(ticket, i)
	up := &direction{hostile: h, way: 0, from: in, to: far, also: s}
	down := &direction{hostile: h, way: 1, from: back, to: near}
	h.group.Go(func() { defer near.Close(); defer far.Close(); down.pass() })
	up.pass()
}

// choose is the origin for a carrier: the one that gave its ticket, or the first, but once
// in a while another, or none.
func (h *hostile) choose(r *http.Request) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	right := 0
	if ticket, err := r.Cookie(wire.TicketCookie); err == nil {
		right = h.gave[ticket.Value]
	}
	if h.every == 0 || h.random.IntN(3) > 0 {
		return right
	}
	i := h.random.IntN(len(h.origins)+1) - 1
	if i >= 0 && i != right {
		h.astray.Add(1)
	}
	return i
}

func (h *hostile) learn(ticket string, origin int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gave[ticket] = origin
}

// holdBack answers in the origin's place, and has the origin see a little later what the
// client has said, when that has given the carrier up.
func (h *hostile) holdBack(s *show, r *http.Request, in *bufio.Reader, near net.Conn) {
	h.held.Add(1)
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(near, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	for {
		head, payload, err := frames.Read(in, wire.MaxMessage)
		if err != nil {
			break
		}
		if !head.Opcode.IsControl() {
			h.mu.Lock()
			s.messages = append(s.messages, payload)
			h.mu.Unlock()
		}
	}
	time.Sleep(5 * time.Second)
	h.repeat(s, 0)
}

// show begins one with r, from which it takes the ticket, so that origins are not led by it.
func (h *hostile) show(r *http.Request) *show {
	token, _ := r.Cookie(wire.TokenCookie)
	r.Header.Del("Cookie")
	if token != nil {
		r.Header.Set("Cookie", token.Name+"="+token.Value)
	}
	var b bytes.Buffer
	r.Write(&b)
	s := &show{request: b.Bytes()}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shows = append(h.shows, s)
	return s
}

var errNoUpgrade = errors.New("a website")

// upgrade sends the request to an origin, and its answer to whoever asked, if to anybody.
func (s *show) upgrade(far net.Conn, near io.Writer) (back *bufio.Reader, ticket string, err error) {
	if _, err := far.Write(s.request); err != nil {
		return nil, "", err
	}
	back = bufio.NewReader(far)
	res, err := http.ReadResponse(back, nil)
	if err != nil {
		return nil, "", err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		res.Write(near)
		return nil, "", errNoUpgrade
	}
	for _, c := range res.Cookies() {
		if c.Name == wire.TicketCookie {
			ticket = c.Value
		}
	}
	res.Body = nil
	return back, ticket, res.Write(near)
}

// direction is one of a carrier.
type direction struct {
	*hostile
	way  int
	from *bufio.Reader
	to   net.Conn
	also *show  // keeps what comes; nil: nobody does
	held []byte // goes after the next
}

func (d *direction) pass() {
	var msg []byte
	for {
		head, payload, err := frames.Read(d.from, wire.MaxMessage)
		switch {
		case err != nil:
			return
		case head.Opcode.IsControl():
			err = d.write(head.Opcode, payload)
		default:
			if msg = append(msg, payload...); head.Fin {
				err = d.do(msg)
				msg = nil
			}
		}
		if err != nil {
			return
		}
	}
}

func (d *direction) write(o frames.Opcode, payload []byte) error {
	b := frames.Append(nil, o, true, payload)
	if d.way == 0 {
		b = frames.Masked(o, true, payload)
	}
	_, err := d.to.Write(b)
	return err
}

// do passes a message on, or does something else with it.
func (d *direction) do(msg []byte) error {
	for _, b := range d.instead(msg) {
		if err := d.write(frames.Binary, b); err != nil {
			return err
		}
	}
	return nil
}

// maxHeld bounds the messages that an edge keeps of each direction.
const maxHeld = 300

func (d *direction) instead(msg []byte) (all [][]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.also != nil {
		d.also.messages = append(d.also.messages, msg)
	}
	defer func() {
		if d.held != nil && len(all) > 0 {
			all, d.held = append(all, d.held), nil
		}
		if len(d.kept[d.way]) < maxHeld {
			d.kept[d.way] = append(d.kept[d.way], msg)
		}
	}()
	if d.every == 0 || d.random.Int64N(d.every) > 0 {
		return [][]byte{msg}
	}
	d.wrongs.Add(1)
	switch d.random.IntN(8) {
	case 0: // twice
		return [][]byte{msg, msg}
	case 1: // after the one that follows
		if d.held == nil {
			d.held = msg
			return nil
		}
		return [][]byte{msg}
	case 2: // never
		return nil
	case 3: // after another that was here before, of this carrier or of any other
		return [][]byte{d.old(d.way), msg}
	case 4: // another in its place
		return [][]byte{d.old(d.way)}
	case 5: // one of the other direction
		return [][]byte{d.old(1 - d.way), msg}
	case 6: // with one bit changed
		other := bytes.Clone(msg)
		if len(other) > 0 {
			other[d.random.IntN(len(other))] ^= 1 << d.random.IntN(8)
		}
		return [][]byte{other}
	default: // a part
		return [][]byte{msg[:d.random.IntN(len(msg)+1)]}
	}
}

// old is any message that was kept. mu is held.
func (h *hostile) old(way int) []byte {
	if len(h.kept[way]) == 0 {
		return nil
	}
	return h.kept[way][h.random.IntN(len(h.kept[way]))]
}

// repeat has an origin see a whole carrier once more, and returns what it says: nothing but
// a website, or what it says to whoever has a token.
func (h *hostile) repeat(s *show, i int) (said [][]byte, err error) {
	far, err := h.dial(i)
	if err != nil {
		return nil, err
	}
	defer far.Close()
	far.SetDeadline(time.Now().Add(time.Minute))
	back, _, err := s.upgrade(far, io.Discard)
	if err != nil {
		return nil, err
	}
	for _, b := range s.messages {
		if _, err := far.Write(frames.Masked(frames.Binary, true, b)); err != nil {
			break
		}
	}
	for {
		_, payload, err := frames.Read(back, wire.MaxMessage)
		if err != nil {
			return said, nil
		}
		said = append(said, payload)
	}
}

func (h *hostile) allShows() []*show {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.shows)
}

// counted counts the streams that an origin begins at the service.
func (w *world) counted(streams *atomic.Int64) func(*origin.Config) {
	return func(c *origin.Config) {
		c.Dial = func(ctx context.Context, s wire.Service) (net.Conn, error) {
			streams.Add(1)
			return w.dialUpstream(ctx, s)
		}
	}
}

// advertised is an origin that names itself to clients, so that they know it from others.
func (w *world) advertised(change ...func(*origin.Config)) far {
	w.Helper()
	at := w.net.listen(w)
	cfg := origin.Config{Master: w.master, Site: site.Handler(), Advertise: netip.MustParseAddrPort(at.Addr().String())}
	for _, c := range change {
		c(&cfg)
	}
	o, err := origin.New(cfg)
	must(w, err)
	f := far{o, w.serve(o.Wrap(at), serve.Service{Handler: o})}
	w.Cleanup(f.crash)
	return f
}

// An edge keeps, repeats, swaps, drops, changes and forges messages, takes those of other
// carriers, holds whole carriers back and leads them to another origin. What breaks is a carrier each time: of
// what the app says and hears no byte is wrong, and none is lost.
func TestAHostileEdgeBreaksCarriersAlone(t *testing.T) {
	for _, origins := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d origins", origins), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				var streams atomic.Int64
				h := w.hostile(25, w.advertised(w.counted(&streams)).addr)
				for range origins - 1 {
					h.origins = append(h.origins, w.advertised(w.counted(&streams)).addr)
				}
				clients := []*near{w.client(1, h.addr()), w.client(1, h.addr()), w.client(2, h.addr())}
				rounds := size(4, 60)
				var all sync.WaitGroup
				for i, n := range clients {
					all.Go(func() {
						for round := range uint64(rounds) {
							o := order{Do: exchange, Seed: 1000*uint64(i) + round, Up: 100_000, Down: 100_000}
							if err := n.order(o); err != nil {
								t.Errorf("client %d, round %d: %v", i, round, err)
							}
						}
					})
				}
				all.Wait()
				t.Logf("%d messages were not passed on as they came, %d carriers led astray, %d held back; %d tunnels, %d streams",
					h.wrongs.Load(), h.astray.Load(), h.held.Load(), 3*rounds, streams.Load())
				if h.wrongs.Load() < rounds {
					t.Errorf("got %d messages not passed on as they came, want more", h.wrongs.Load())
				}
				if got := streams.Load(); got < 3*rounds || got > 3*rounds+h.astray.Load() { // what another origin may have begun is begun anew
					t.Errorf("got %d streams at the service, want %d", got, 3*rounds)
				}
				for _, n := range clients {
					checkEnds(t, n)
				}
			})
		})
	}
}

// All carriers of a client are seen once more: at once, when their tokens have expired, and
// a year later; by the origin that saw them, by another, and by one that was restarted.
// Nothing begins, nobody is heard, and whoever's token is old or was taken sees a website.
func TestWhatAnEdgeHasKeptIsGoodForNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var streams atomic.Int64
		count := w.counted(&streams)
		first, second := w.advertised(count), w.advertised(count)
		h := w.hostile(0, first.addr, second.addr)
		n := w.client(1, h.addr())
		for seed := range uint64(3) {
			must(t, n.order(order{Do: exchange, Seed: seed, Up: 30_000, Down: 30_000}))
		}
		n.stop()
		kept, began := h.allShows(), streams.Load()
		again := func(name string, i int, website bool) {
			for _, s := range kept {
				said, err := h.repeat(s, i)
				if website != (err == errNoUpgrade) {
					t.Errorf("%s: got %v, want a website %v", name, err, website)
				}
				for _, msg := range said {
					if !isPlain(msg) {
						t.Errorf("%s: got a message of %d bytes, want a challenge at most", name, len(msg))
					}
				}
			}
			if got := streams.Load(); got != began {
				t.Errorf("%s: got %d streams at the service, want none", name, got-began)
			}
		}
		again("at once", 0, true)
		again("at once, by another origin", 1, false)
		again("at once, by another origin, again", 1, true)
		time.Sleep(wire.TokenLife + time.Minute)
		again("when tokens have expired", 0, true)
		again("when tokens have expired, by another origin", 1, true)
		first.crash()
		second.crash()
		synctest.Wait()
		time.Sleep(365 * 24 * time.Hour)
		h.origins = append(h.origins, w.advertised(count).addr)
		again("a year later, by a new origin", 2, true)
	})
}

// isPlain reports that a message holds no record.
func isPlain(msg []byte) bool {
	for len(msg) > 0 {
		plain, _, rest, err := session.Next(msg)
		if err != nil || plain == session.Record {
			return false
		}
		msg = rest
	}
	return true
}
