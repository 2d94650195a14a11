package tunnel

import (
	"slices"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// sendState says how far this direction has come: the stream's bytes on their way to
// the peer.
type sendState byte

const (
	sendOpen   sendState = iota // the stream may have more to say
	sendEnded                   // it has ended; the Fin follows its last byte
	sendClosed                  // the peer has written all, and passed the Fin on
)

// sendHalf is what was read from the stream and the peer has not acked. Bytes are kept
// in the clear and framed whenever a carrier has a turn, anew and cut anywhere if one
// dies. The Fin takes the position after the last byte. Tunnel.mu guards it.
type sendHalf struct {
	state  sendState
	acked  uint64 // position up to which the peer has written all to its stream
	sent   uint64 // position up to which all has gone by some carrier
	read   uint64 // position of the next byte read from the stream
	limit  uint64 // the peer's window ends here
	credit uint64 // how much may be kept for the peer
	kept   []kept // from acked on, or a little before
	gone   []span // what went by a carrier and was not acked
	lost   []span // of that, what is to go again, in order of positions
	bytes  int64  // of the buffers in kept
}

// kept is bytes of the stream in a buffer.
type kept struct {
	buf  []byte // what to give back
	data []byte
	from uint64
}

// span is positions from one to before another, and the path that took them.
type span struct {
	from, to uint64
	by       *path
}

// maxKept bounds the pieces that are kept: a window of single bytes would hold hundreds
// of times its size.
const maxKept = 1024

// end is the position that follows all there is to send.
func (s *sendHalf) end() uint64 {
	if s.state == sendOpen {
		return s.read
	}
	return s.read + 1
}

// unsent is how many positions wait for a turn, as far as the peer's window allows.
func (s *sendHalf) unsent() int {
	n := int(s.edge() - min(s.sent, s.edge()))
	for _, l := range s.lost {
		n += int(l.to - l.from)
	}
	return n
}

// edge is the position that may be sent up to. A Fin may go one beyond the window.
func (s *sendHalf) edge() uint64 {
	if s.state != sendOpen && s.read <= s.limit {
		return s.read + 1
	}
	return min(s.read, s.limit)
}

// keep takes what was read.
func (s *sendHalf) keep(buf, data []byte) {
	s.kept = append(s.kept, kept{buf, data, s.read})
	s.read += uint64(len(data))
	s.bytes += int64(cap(buf))
}

// fill appends Data frames, and the Fin, that p is to take, up to room bytes.
func (s *sendHalf) fill(b []byte, id uint32, p *path, room int) []byte {
	begin := len(b)
	for {
		left := room - (len(b) - begin) - wire.DataHead
		if left <= 0 {
			return b
		}
		next, ok := s.next(uint64(min(left, wire.MaxData)))
		if !ok {
			return b
		}
		next.by = p
		b = s.frame(b, id, next)
		s.note(next)
	}
}

// next takes off what is to go first, at most n positions of it.
func (s *sendHalf) next(n uint64) (span, bool) {
	if len(s.lost) > 0 {
		l := &s.lost[0]
		cut := span{from: l.from, to: min(l.to, s.cut(l.from, n))}
		if l.from = cut.to; l.from == l.to {
			s.lost = slices.Delete(s.lost, 0, 1)
		}
		return cut, true
	}
	edge := s.edge()
	if s.sent >= edge {
		return span{}, false
	}
	cut := span{from: s.sent, to: min(edge, s.cut(s.sent, n))}
	s.sent = cut.to
	return cut, true
}

// cut is where a frame from a position on may end: the Fin is one of its own.
func (s *sendHalf) cut(from, n uint64) uint64 {
	if from < s.read {
		return min(from+n, s.read)
	}
	return from + 1
}

// frame appends the frame of a span.
func (s *sendHalf) frame(b []byte, id uint32, p span) []byte {
	f := wire.Frame{Kind: wire.Data, Tunnel: id, Pos: p.from}
	if p.from == s.read {
		f.Kind = wire.Fin
		return f.Append(b)
	}
	b = f.AppendHead(b, int(p.to-p.from))
	return s.copy(b, p.from, p.to)
}

// copy appends the stream's bytes from one position to before another.
func (s *sendHalf) copy(b []byte, from, to uint64) []byte {
	i, _ := slices.BinarySearchFunc(s.kept, from, func(k kept, from uint64) int {
		if k.from+uint64(len(k.data)) <= from {
			return -1
		}
		return 1
	})
	for ; from < to; i++ {
		k := s.kept[i]
		data := k.data[from-k.from:]
		data = data[:min(uint64(len(data)), to-from)]
		b = append(b, data...)
		from += uint64(len(data))
	}
	return b
}

// note remembers who took a span.
func (s *sendHalf) note(p span) {
	if n := len(s.gone); n > 0 && s.gone[n-1].by == p.by && s.gone[n-1].to == p.from {
		s.gone[n-1].to = p.to
		return
	}
	s.gone = append(s.gone, p)
}

// came notes that the peer has all that went by p, which is dead.
func (s *sendHalf) came(p *path) {
	for i := range s.gone {
		if s.gone[i].by == p {
			s.gone[i].by = nil
		}
	}
}

// lose has all that went by p go again, or, if others, all that did not, but for what the peer
// has said it has. It reports whether there was any.
func (s *sendHalf) lose(p *path, others bool) bool {
	any := false
	s.gone = slices.DeleteFunc(s.gone, func(g span) bool {
		if p != nil && ((g.by == p) == others || g.by == nil) {
			return false
		}
		if g.from = max(g.from, s.acked); g.from < g.to {
			s.insert(g)
			any = true
		}
		return true
	})
	return any
}

// insert adds to lost, joined with what it touches.
func (s *sendHalf) insert(g span) {
	i, _ := slices.BinarySearchFunc(s.lost, g.from, func(l span, from uint64) int {
		if l.to < from {
			return -1
		}
		return 1
	})
	j := i
	for ; j < len(s.lost) && s.lost[j].from <= g.to; j++ {
		g.from, g.to = min(g.from, s.lost[j].from), max(g.to, s.lost[j].to)
	}
	s.lost = slices.Replace(s.lost, i, j, g)
}

// ack drops what the peer has written to its stream, and returns how many bytes of
// buffers. The error is wire.ErrFrame.
func (s *sendHalf) ack(ack uint64, room uint32) (freed int64, err error) {
	if ack > s.sent || room > wire.MaxWindow {
		return 0, wire.ErrFrame
	}
	s.limit = max(s.limit, ack+uint64(room))
	if ack <= s.acked {
		return 0, nil
	}
	s.acked = ack
	before := s.bytes
	n := 0
	for ; n < len(s.kept) && s.kept[n].from+uint64(len(s.kept[n].data)) <= ack; n++ {
		s.bytes -= int64(cap(s.kept[n].buf))
		transport.PutBuffer(s.kept[n].buf)
	}
	s.kept = dropFirst(s.kept, n)
	s.gone, s.lost = since(s.gone, ack), since(s.lost, ack)
	if s.state == sendEnded && ack == s.end() {
		s.state = sendClosed
	}
	return before - s.bytes, nil
}

// since drops what lies before a position.
func since(all []span, from uint64) []span {
	all = slices.DeleteFunc(all, func(p span) bool { return p.to <= from })
	for i := range all {
		all[i].from = max(all[i].from, from)
	}
	return all
}

// dropFirst drops n pieces, and the room for many when all are gone.
func dropFirst(all []kept, n int) []kept {
	if n < len(all) {
		return slices.Delete(all, 0, n)
	}
	clear(all)
	if cap(all) > 4 {
		return nil
	}
	return all[:0]
}

// rest gives back the room for what there is not.
func (s *sendHalf) rest() {
	if len(s.kept) == 0 {
		s.kept = nil
	}
	if len(s.gone) == 0 {
		s.gone = nil
	}
}

// uses reports whether p has taken what is not acked.
func (s *sendHalf) uses(p *path) bool {
	return slices.ContainsFunc(s.gone, func(g span) bool { return g.by == p })
}

// drop gives all buffers back and returns how many bytes they had.
func (s *sendHalf) drop() int64 {
	for _, k := range s.kept {
		transport.PutBuffer(k.buf)
	}
	n := s.bytes
	s.kept, s.gone, s.lost, s.bytes = nil, nil, nil, 0
	return n
}
