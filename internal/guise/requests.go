package guise

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"

	"golang.org/x/net/http2/hpack"
)

// Codes of errors that end a connection (RFC 9113, section 7).
const (
	protocolError    = 1
	compressionError = 9
	enhanceYourCalm  = 11
)

// Bounds of the headers of one request. nginx's own are for a field, as it is coded, and for all of them.
const (
	maxField     = maxLine
	maxFields    = 4 * maxLine
	maxBlock     = maxFields + maxLine // coded, which may be longer
	maxKept      = 12 << 10            // of the fields that net/http is told of: what is behind them, no page depends on
	maxContinued = 64                  // frames of one block: nobody needs as many
)

// MaxHead is the MaxHeaderBytes of a server that is to refuse no head over HTTP/2 by itself.
const MaxHead = maxFields + maxKept + 1<<10

// requests reads what a client sends over HTTP/2, and gives net/http what it takes: of headers those that nginx
// would look at, in the order and spelling that net/http demands, and in the place of a request that nginx answers
// with 400 one that Handler refuses. So net/http refuses nothing by itself, in its own words, that is not refused
// by nginx, and keeps no more of a request than is bounded here.
//
// One goroutine reads. What ends the connection is for who writes.
type requests struct {
	from    net.Conn
	decoder *hpack.Decoder

	ready   []byte // to be read next
	passing int    // bytes of a frame that go through as they are, behind ready
	greeted bool   // the first settings were seen
	over    bool   // the client has broken a rule: nothing more is read

	sets   atomic.Bool   // the client has said how large its table is
	agrees atomic.Bool   // net/http will take the client's settings, and say so
	last   atomic.Uint32 // the newest stream
	code   atomic.Uint32 // why the connection is to end; 0: by what net/http finds
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

func newRequests(from net.Conn) *requests {
	return &requests{from: from, passing: len(preface), decoder: hpack.NewDecoder(tableSize, nil)}
}

// Read gives net/http the next bytes.
func (q *requests) Read(b []byte) (int, error) {
	for len(q.ready) == 0 {
		if q.passing > 0 {
			n, err := q.from.Read(b[:min(len(b), q.passing)])
			q.passing -= n
			return n, err
		}
		if err := q.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, q.ready)
	q.ready = q.ready[n:]
	return n, nil
}

// next reads the next frame, as far as it has to be looked at.
func (q *requests) next() error {
	if q.over {
		_, err := io.Copy(io.Discard, q.from)
		if err == nil {
			err = io.EOF
		}
		return err
	}
	head := make([]byte, frameHead)
	if _, err := io.ReadFull(q.from, head); err != nil {
		return err
	}
	if !q.greeted {
		q.greeted = true
		return q.greet(head)
	}
	size, stream := payload(head), streamOf(head)
	isIdle := stream > q.last.Load() // nginx heeds nothing of a stream that there never was
	switch head[3] {
	case headersFrame:
		return q.headers(head)
	case dataFrame, resetFrame, windowFrame:
		if isIdle {
			return q.skip(size)
		}
	case goAwayFrame:
		if stream == 0 && size >= 8 {
			return q.skip(size)
		}
	}
	q.ready, q.passing = head, size
	return nil
}

func (q *requests) skip(size int) error {
	_, err := io.CopyN(io.Discard, q.from, int64(size))
	return err
}

// greet looks at the first frame, which is to be the client's settings.
func (q *requests) greet(head []byte) error {
	if head[3] != settingsFrame {
		return q.end(protocolError)
	}
	looked := make([]byte, min(payload(head), 256))
	if _, err := io.ReadFull(q.from, looked); err != nil {
		return err
	}
	sets, fine := readSettings(looked)
	q.sets.Store(sets)
	q.agrees.Store(fine && head[4]&isAck == 0 && streamOf(head) == 0 && payload(head)%setting == 0)
	q.ready, q.passing = append(head, looked...), payload(head)-len(looked)
	return nil
}

// setting is the length of one.
const setting = 6

// readSettings reports whether the size of the table of headers is among the settings, and whether all are allowed
// (RFC 9113, section 6.5.2).
func readSettings(b []byte) (sets, fine bool) {
	fine = true
	for ; len(b) >= setting; b = b[setting:] {
		value := binary.BigEndian.Uint32(b[2:])
		switch binary.BigEndian.Uint16(b) {
		case 1:
			sets = true
		case 2:
			fine = fine && value <= 1
		case 4:
			fine = fine && value < 1<<31
		case 5:
			fine = fine && value >= maxFrame && value < 1<<24
		}
	}
	return sets, fine
}

// end has net/http end the connection, whose last word will be code.
func (q *requests) end(code uint32) error {
	q.code.Store(code)
	q.over = true
	q.ready = []byte{0, 0, 0, headersFrame, endsHeaders, 0, 0, 0, 0} // of no stream: that is forbidden
	return nil
}

// headers reads a request.
func (q *requests) headers(head []byte) error {
	stream, flags := streamOf(head), head[4]
	switch {
	case stream%2 == 0 || stream <= q.last.Load():
		return q.end(protocolError)
	case payload(head) > maxBlock:
		return q.end(enhanceYourCalm)
	}
	var block bytes.Buffer // grows by what has come, whatever is announced
	if _, err := io.CopyN(&block, q.from, int64(payload(head))); err != nil {
		return err
	}
	fragment, fine := unpadded(block.Bytes(), flags, stream)
	if !fine {
		return q.end(protocolError)
	}
	q.last.Store(stream)
	block = *bytes.NewBuffer(fragment)
	if flags&endsHeaders == 0 {
		code, err := q.continued(&block, stream)
		switch {
		case err != nil:
			return err
		case code != 0:
			return q.end(code)
		}
	}
	r := request{ends: flags&endsStream != 0}
	if code := r.read(q.decoder, block.Bytes()); code != 0 {
		return q.end(code)
	}
	q.ready = appendFrames(nil, flags&endsStream, binary.BigEndian.AppendUint32(nil, stream), r.block())
	return nil
}

// unpadded is a block's first part without what may be around it.
func unpadded(b []byte, flags byte, stream uint32) (fragment []byte, fine bool) {
	padding := 0
	if flags&isPadded != 0 {
		if len(b) == 0 {
			return nil, false
		}
		padding, b = int(b[0]), b[1:]
	}
	if flags&hasPriority != 0 {
		if len(b) < 5 || binary.BigEndian.Uint32(b)&(1<<31-1) == stream { // it depends on itself
			return nil, false
		}
		b = b[5:]
	}
	if padding > len(b) {
		return nil, false
	}
	return b[:len(b)-padding], true
}

// continued adds the rest of a block, with nothing between. A code is why the connection is to end.
func (q *requests) continued(block *bytes.Buffer, stream uint32) (code uint32, err error) {
	head := make([]byte, frameHead)
	for range maxContinued {
		if _, err := io.ReadFull(q.from, head); err != nil {
			return 0, err
		}
		switch size := payload(head); {
		case head[3] != continuationFrame || streamOf(head) != stream:
			return protocolError, nil
		case block.Len()+size > maxBlock:
			return enhanceYourCalm, nil
		}
		if _, err := io.CopyN(block, q.from, int64(payload(head))); err != nil {
			return 0, err
		}
		if head[4]&endsHeaders != 0 {
			return 0, nil
		}
	}
	return enhanceYourCalm, nil
}
