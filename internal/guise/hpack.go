package guise

import (
	"encoding/binary"
	"maps"
	"slices"
	"strconv"

	"golang.org/x/net/http2/hpack"
)

// tableSize is that of HPACK's table before anybody says otherwise (RFC 9113, section 6.5.2).
const tableSize = 4096

// maxLeft is how many streams may be open at once.
const maxLeft = 128

// maxFrame is the payload that every peer takes.
const maxFrame = 16 << 10

// fields rewrites the headers of HTTP/2: net/http sorts them by name and refers to a table of those that it
// has sent, and nginx does neither.
type fields struct {
	decoder *hpack.Decoder
	block   []byte // of an answer whose head is not whole
	flags   byte   // of its first frame
	told    bool   // the client knows that its table is not used

	left map[uint32]int64 // bytes that are to come of each stream whose length is known; at most maxLeft
}

// finish ends a stream with its last byte, as nginx does: net/http sends an empty frame behind that, which is
// to be left out if finish returns true.
func (h *fields) finish(frame []byte) (drop bool) {
	stream := streamOf(frame)
	left, known := h.left[stream]
	if !known {
		return false
	}
	isLast := frame[4]&endsStream != 0
	if drop = isLast && left == 0 && payload(frame) == 0; isLast {
		delete(h.left, stream)
		return drop
	}
	if h.left[stream] = left - int64(payload(frame)); h.left[stream] == 0 {
		frame[4] |= endsStream
	}
	return false
}

// rewrite appends to out what goes in the place of a frame; nothing as long as more of the block comes. With
// sets the client has said how large its table is.
func (h *fields) rewrite(out, frame []byte, sets bool) ([]byte, error) {
	if frame[3] == headersFrame {
		h.flags = frame[4]
	}
	h.block = append(h.block, frame[frameHead:]...)
	if frame[4]&endsHeaders == 0 {
		return out, nil
	}
	all, err := h.decoder.DecodeFull(h.block)
	h.block = nil
	if err != nil {
		return nil, err
	}
	var block []byte
	if sets && !h.told {
		block = append(block, 0x20) // a table of size 0 (RFC 7541, section 6.3)
	}
	h.told = true
	slices.SortStableFunc(all, func(a, b hpack.HeaderField) int { return rankOfField(a.Name) - rankOfField(b.Name) })
	for _, f := range all {
		block = appendField(block, f)
		h.note(streamOf(frame), f)
	}
	return appendFrames(out, h.flags&endsStream, frame[5:9], block), nil
}

// note sees how much of an answer is to come behind its headers.
func (h *fields) note(stream uint32, f hpack.HeaderField) {
	if h.flags&endsStream != 0 {
		return
	}
	size, err := strconv.ParseInt(f.Value, 10, 64)
	switch {
	case f.Name == ":status" && f.Value == "304":
		h.expect(stream, 0)
		h.flags |= endsStream
	case f.Name == "content-length" && err == nil && size > 0:
		h.expect(stream, size)
	case f.Name == "trailer": // which net/http may have with a length
		delete(h.left, stream)
	}
}

// expect notes how much of a stream is to come. What a client has reset is never told to the writer: where there are too
// many, the oldest is forgotten, which ends then as net/http ends it.
func (h *fields) expect(stream uint32, size int64) {
	if len(h.left) >= maxLeft {
		delete(h.left, slices.Min(slices.Collect(maps.Keys(h.left))))
	}
	h.left[stream] = size
}

func rankOfField(name string) int {
	if name == ":status" {
		return -1
	}
	return rank(name)
}

// appendFrames appends a block of headers, of stream, in as many frames as it takes.
func appendFrames(out []byte, flags byte, stream, block []byte) []byte {
	kind := byte(headersFrame)
	for {
		part := block[:min(len(block), maxFrame)]
		if block = block[len(part):]; len(block) == 0 {
			flags |= endsHeaders
		}
		size := binary.BigEndian.AppendUint32(nil, uint32(len(part)))
		out = append(append(append(append(out, size[1:]...), kind, flags), stream...), part...)
		if kind, flags = continuationFrame, 0; len(block) == 0 {
			return out
		}
	}
}

// names are those headers of HPACK's static table that nginx refers to (RFC 7541, appendix A).
var names = map[string]byte{":status": 8, "content-length": 28, "content-type": 31, "date": 33, "last-modified": 44, "location": 46,
	"server": 54, "vary": 59}

// statuses are those that are in the static table whole.
var statuses = map[string]byte{"200": 8, "204": 9, "206": 10, "304": 11, "400": 12, "404": 13, "500": 14}

// appendField codes a field as nginx does: what has a name in the static table as if it was to be kept, and
// all else as it is.
func appendField(block []byte, f hpack.HeaderField) []byte {
	if index, ok := statuses[f.Value]; ok && f.Name == ":status" {
		return append(block, 0x80|index)
	}
	if index, ok := names[f.Name]; ok {
		return appendText(append(block, 0x40|index), f.Value, f.Name != ":status" && f.Name != "content-length")
	}
	return appendText(appendText(append(block, 0), f.Name, true), f.Value, true)
}

// appendText codes a text, by Huffman's code if it may be and gets shorter.
func appendText(block []byte, text string, may bool) []byte {
	if n := hpack.HuffmanEncodeLength(text); may && n < uint64(len(text)) {
		return hpack.AppendHuffmanString(appendLength(block, 0x80, n), text)
	}
	return append(appendLength(block, 0, uint64(len(text))), text...)
}

// appendLength codes a number in the last 7 bits of a byte, and more bytes if it is larger (RFC 7541, section 5.1).
func appendLength(block []byte, first byte, n uint64) []byte {
	if n < 127 {
		return append(block, first|byte(n))
	}
	block = append(block, first|127)
	for n -= 127; n >= 128; n >>= 7 {
		block = append(block, byte(n)|128)
	}
	return append(block, byte(n))
}
