package tunnel

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// choices drive a model: the bytes of a fuzzer, or random ones.
type choices struct{ b []byte }

func randomChoices(seed uint64) *choices {
	b := make([]byte, 1500)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return &choices{b}
}

// of is a number from 0 to before n; 0 when all are used up.
func (c *choices) of(n int) int {
	if len(c.b) < 2 || n < 1 {
		c.b = nil
		return 0
	}
	v := int(c.b[0])<<8 | int(c.b[1])
	c.b = c.b[2:]
	return v % n
}

// sendModel is a simple sendHalf beside the real one: of each position it knows who has
// it.
type sendModel struct {
	t      *testing.T
	s      sendHalf
	stream []byte
	paths  []*path
	took   []*path // by position: who has it; nil: it was lost
}

func newSendModel(t *testing.T) *sendModel {
	m := &sendModel{t: t, paths: []*path{{}, {}, {}}}
	m.s.limit = 3000
	return m
}

func (m *sendModel) step(c *choices) {
	p := m.paths[c.of(len(m.paths))]
	switch op := c.of(10); {
	case op < 3 && m.s.state == sendOpen:
		m.read(1 + c.of(700))
	case op < 6:
		m.fill(p, 1+c.of(900))
	case op == 6:
		m.lose(p, c.of(4) == 0)
	case op == 7:
		m.ack(m.s.acked+uint64(c.of(int(m.s.sent-m.s.acked)+1)), uint32(c.of(4000)))
	case op == 8 && c.of(12) == 0 && m.s.state == sendOpen:
		m.s.state = sendEnded
	}
	m.check()
}

func (m *sendModel) read(n int) {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte((len(m.stream) + i) * 7 >> 1)
	}
	m.stream = append(m.stream, data...)
	m.s.keep(data, data)
}

func (m *sendModel) fill(p *path, room int) {
	b := m.s.fill(nil, 1, p, room)
	if len(b) > max(room, 0) {
		m.t.Fatalf("got %d bytes, want at most %d", len(b), room)
	}
	frames(b, func(f wire.Frame) {
		end := f.Pos + uint64(len(f.Body))
		switch f.Kind {
		case wire.Data:
			if !bytes.Equal(f.Body, m.stream[f.Pos:end]) || end > m.s.limit {
				m.t.Fatalf("got other bytes at %d to %d, with a limit of %d", f.Pos, end, m.s.limit)
			}
		case wire.Fin:
			if end = f.Pos + 1; m.s.state == sendOpen || f.Pos != uint64(len(m.stream)) {
				m.t.Fatalf("got a Fin at %d, want it after %d", f.Pos, len(m.stream))
			}
		}
		for pos := f.Pos; pos < end; pos++ {
			if int(pos) == len(m.took) {
				m.took = append(m.took, nil)
			}
			if m.took[pos] != nil {
				m.t.Fatalf("position %d goes twice", pos)
			}
			m.took[pos] = p
		}
	})
}

func (m *sendModel) lose(p *path, others bool) {
	m.s.lose(p, others)
	for pos := int(m.s.acked); pos < len(m.took); pos++ {
		if (m.took[pos] == p) != others {
			m.took[pos] = nil
		}
	}
}

func (m *sendModel) ack(pos uint64, room uint32) {
	before := m.s.bytes
	freed, err := m.s.ack(pos, room)
	if err != nil || freed != before-m.s.bytes {
		m.t.Fatalf("got %d freed of %d and %v, want %d", freed, before, err, before-m.s.bytes)
	}
}

// check compares the spans with what each position has seen.
func (m *sendModel) check() {
	s := &m.s
	if uint64(len(m.took)) != s.sent {
		m.t.Fatalf("got %d sent, want %d", s.sent, len(m.took))
	}
	unsent := 0
	have := make([]*path, s.sent-s.acked)
	for _, g := range s.gone {
		for pos := g.from; pos < g.to; pos++ {
			have[pos-s.acked] = g.by
		}
	}
	for _, l := range s.lost {
		for pos := l.from; pos < l.to; pos++ {
			if have[pos-s.acked] != nil {
				m.t.Fatalf("position %d is lost, and is not", pos)
			}
			unsent++
		}
	}
	if !slices.Equal(have, m.took[s.acked:]) {
		m.t.Fatalf("got gone %v and lost %v: others have what is not acked", s.gone, s.lost)
	}
	for i, l := range s.lost {
		if l.from < s.acked || l.from >= l.to || i > 0 && s.lost[i-1].to >= l.from {
			m.t.Fatalf("got lost %v, want it in order and apart, from %d on", s.lost, s.acked)
		}
	}
	for _, g := range s.gone {
		if g.from < s.acked || g.to > s.sent || g.from >= g.to {
			m.t.Fatalf("got gone %v, want it within %d and %d", s.gone, s.acked, s.sent)
		}
	}
	if want := unsent + int(s.edge()-min(s.sent, s.edge())); s.unsent() != want {
		m.t.Fatalf("got %d unsent, want %d", s.unsent(), want)
	}
	var held int64
	for _, k := range s.kept {
		held += int64(cap(k.buf))
	}
	if held != s.bytes || s.bytes > 0 && s.acked >= s.read {
		m.t.Fatalf("got %d bytes counted, want %d, with %d of %d acked", s.bytes, held, s.acked, s.read)
	}
}

// finish has all that is left go and be acked.
func (m *sendModel) finish() {
	m.s.state = max(m.s.state, sendEnded)
	for range 10_000 {
		m.fill(m.paths[0], 500)
		m.ack(m.s.sent, 2000)
		m.check()
		if m.s.state == sendClosed {
			break
		}
	}
	if m.s.state != sendClosed || m.s.bytes != 0 || len(m.s.gone)+len(m.s.lost)+len(m.s.kept) > 0 {
		m.t.Fatalf("got state %d with %d bytes kept, want it closed and empty", m.s.state, m.s.bytes)
	}
}

func runSend(t *testing.T, c *choices) {
	m := newSendModel(t)
	for len(c.b) > 0 {
		m.step(c)
	}
	m.finish()
}

func TestWhatIsSentIsWhatWasReadHoweverItIsCutAndLost(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		runSend(t, randomChoices(seed))
	}
}

func FuzzSendHalf(f *testing.F) {
	f.Add(randomChoices(1).b[:200])
	f.Fuzz(func(t *testing.T, b []byte) { runSend(t, &choices{b[:min(len(b), 1000)]}) })
}

func TestAnAckOfWhatWasNotSentIsNoFrame(t *testing.T) {
	t.Parallel()
	m := newSendModel(t)
	m.read(100)
	m.s.state = sendEnded
	m.fill(m.paths[0], wire.DataHead+50)
	for _, ack := range []uint64{51, 100, 101, wire.MaxPos} {
		if _, err := m.s.ack(ack, 0); err != wire.ErrFrame {
			t.Errorf("an ack of %d where 50 were sent: got %v", ack, err)
		}
	}
	if _, err := m.s.ack(50, wire.MaxWindow+1); err != wire.ErrFrame || m.s.state != sendEnded {
		t.Errorf("a window too large: got %v", err)
	}
}

// A window of single bytes does not hold hundreds of times its size: kept pieces are few,
// and a path that alternates with another leaves no spans behind.
func TestNoSpansAreLeftBehind(t *testing.T) {
	t.Parallel()
	m := newSendModel(t)
	for range 300 {
		m.read(10)
		for _, p := range m.paths {
			m.fill(p, wire.DataHead+3)
		}
		m.lose(m.paths[0], false)
		m.fill(m.paths[1], 1000)
		m.ack(m.s.sent, 1000)
		m.check()
		if m.s.uses(m.paths[0]) || len(m.s.gone) > 0 {
			t.Fatalf("got %v after an ack of all", m.s.gone)
		}
	}
}

// recvModel is a recvHalf that is given pieces of a stream, and what it has written.
type recvModel struct {
	t       *testing.T
	r       recvHalf
	stream  []byte
	come    []bool // by position; the last is the Fin's
	written []byte
	bytes   int64
}

func newRecvModel(t *testing.T) *recvModel {
	m := &recvModel{t: t, stream: bytesOf(6000, 5)}
	m.come = make([]bool, len(m.stream)+1)
	m.r.promised, m.r.win.size = 2500, 2500
	return m
}

func (m *recvModel) step(c *choices) {
	switch op := c.of(8); {
	case op < 5:
		from := int(m.r.got) + c.of(1500) - 300
		m.take(max(from, 0), 1+c.of(500), c.of(2) == 0)
	case op == 5:
		m.write(1 + c.of(800))
	case op == 6:
		f := m.r.ackNow(1, m.r.win.size)
		if f.Pos != uint64(len(m.written)) && m.r.state != recvClosed || f.Pos+uint64(f.Num) != m.r.promised {
			m.t.Fatalf("got an ack of %d, want %d", f.Pos, len(m.written))
		}
	case op == 7:
		m.fin()
	}
	m.check()
}

func (m *recvModel) take(from, n int, keep bool) {
	to := min(from+n, len(m.stream), int(m.r.promised))
	if from >= to || m.r.state != recvOpen && to > int(m.r.got) {
		return
	}
	buf := transport.GetBuffer(to - from)
	copy(buf, m.stream[from:to])
	whole := buf
	if !keep {
		whole = nil
	}
	kept, grown, err := m.r.take(chunk{data: buf, from: uint64(from)}, whole)
	if err != nil || kept && !keep {
		m.t.Fatalf("bytes %d to %d: got %v, kept %v", from, to, err, kept)
	}
	m.bytes += grown
	for pos := from; pos < to; pos++ {
		m.come[pos] = true
	}
	if !kept {
		clear(buf) // the caller uses it for something else
	}
}

func (m *recvModel) fin() {
	if m.r.state != recvOpen || m.r.promised < uint64(len(m.stream)) {
		return
	}
	if _, grown, err := m.r.take(chunk{fin: true, from: uint64(len(m.stream))}, nil); err != nil || grown != 0 {
		m.t.Fatalf("the Fin: got %v and %d bytes", err, grown)
	}
	m.come[len(m.stream)] = true
}

func (m *recvModel) write(n int) {
	before := m.r.bytes
	for ; n > 0 && len(m.r.queue) > 0; n-- {
		if m.r.queue[0].fin {
			m.r.closed()
			break
		}
		some := min(n, len(m.r.queue[0].data))
		m.written = append(m.written, m.r.queue[0].data[:some]...)
		if freed := m.r.wrote(some); freed > 0 {
			m.bytes -= freed
		}
		n -= some - 1
	}
	if before-m.r.bytes < 0 {
		m.t.Fatalf("writing has %d bytes more held", m.r.bytes-before)
	}
}

func (m *recvModel) check() {
	r := &m.r
	got := slices.Index(m.come, false)
	if got < 0 {
		got = len(m.come)
	}
	if r.got != uint64(got) || (r.state == recvOpen) == (got == len(m.come)) {
		m.t.Fatalf("got all up to %d and state %d, want %d", r.got, r.state, got)
	}
	if !bytes.Equal(m.written, m.stream[:len(m.written)]) {
		m.t.Fatal("other bytes were written")
	}
	var held int64
	for _, c := range append(slices.Clone(r.queue), r.ahead...) {
		held += int64(cap(c.buf))
		if !c.fin && !bytes.Equal(c.data, m.stream[c.from:c.end()]) {
			m.t.Fatalf("other bytes are held from %d on", c.from)
		}
	}
	if held != r.bytes || m.bytes != r.bytes {
		m.t.Fatalf("got %d bytes counted and %d told, want %d", r.bytes, m.bytes, held)
	}
	for i, c := range r.ahead {
		if c.from <= r.got || i > 0 && r.ahead[i-1].from > c.from {
			m.t.Fatalf("what is ahead is out of order or not ahead of %d", r.got)
		}
	}
}

func runRecv(t *testing.T, c *choices) {
	m := newRecvModel(t)
	for len(c.b) > 0 {
		m.step(c)
	}
	for range 100 {
		m.take(int(m.r.got), 300, true)
		m.write(300)
		m.r.ackNow(1, m.r.win.size)
		m.fin()
		m.check()
	}
	m.write(10_000)
	if m.r.state != recvClosed || len(m.written) != len(m.stream) || m.r.bytes != 0 || m.r.written != uint64(len(m.stream))+1 {
		t.Fatalf("got state %d, %d bytes written and %d held, want all", m.r.state, len(m.written), m.r.bytes)
	}
}

func TestWhatIsWrittenIsWhatCameInWhateverOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		runRecv(t, randomChoices(seed))
	}
}

func FuzzRecvHalf(f *testing.F) {
	f.Add(randomChoices(2).b[:200])
	f.Fuzz(func(t *testing.T, b []byte) { runRecv(t, &choices{b[:min(len(b), 1000)]}) })
}

func TestFramesBeyondTheWindowOrTheFinAreNone(t *testing.T) {
	t.Parallel()
	m := newRecvModel(t)
	for name, c := range map[string]chunk{
		"bytes beyond the window": {data: make([]byte, 2), from: m.r.promised - 1},
		"a Fin beyond the window": {fin: true, from: m.r.promised + 1},
	} {
		if _, _, err := m.r.take(c, nil); err != wire.ErrFrame {
			t.Errorf("%s: got %v, want %v", name, err, wire.ErrFrame)
		}
	}
	if _, _, err := m.r.take(chunk{fin: true, from: m.r.promised}, nil); err != nil {
		t.Errorf("a Fin at the window's edge: got %v", err)
	}
	for range 3 * maxAhead { // one Fin takes one place, however often it comes
		if _, _, err := m.r.take(chunk{fin: true, from: m.r.promised}, nil); err != nil {
			t.Fatalf("the Fin again: got %v", err)
		}
	}
	m.r.take(chunk{data: make([]byte, m.r.promised)}, nil)
	if _, _, err := m.r.take(chunk{data: make([]byte, 9), from: m.r.got}, nil); err != wire.ErrFrame {
		t.Errorf("bytes beyond the Fin: got %v, want %v", err, wire.ErrFrame)
	}
}
