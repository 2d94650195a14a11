package look

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Bounds of an answer by HTTP/2. Browsers take more; nobody whom we ask has more to say.
const (
	maxFields = 16 << 10
	maxFrame  = 16 << 10 // what a server may send that was told of no other (RFC 9113, section 4.2)
	maxBody   = 512 << 10
	maxFrames = 2000
)

// sayRead is after how many bytes of a body the server may send as many more: half the smallest window of a browser.
const sayRead = 64 << 10

// streamOf is the number of the stream of a request: they are counted from 0.
func streamOf(request int) uint32 { return uint32(2*request + 1) }

// connH2 is a connection that speaks HTTP/2 as a browser does.
type connH2 struct {
	c       *Conn
	f       *http2.Framer
	out     bytes.Buffer // what f has written, and was not sent yet
	fields  bytes.Buffer
	encoder *hpack.Encoder // to fields
	asked   []*answerH2    // by what was asked, in its order
}

// beginH2 begins as the browser does. Nothing is sent before something is asked.
func (c *Conn) beginH2() *connH2 {
	s, h2 := &connH2{c: c}, &c.look.data.H2
	s.out.WriteString(http2.ClientPreface)
	s.f, s.encoder = http2.NewFramer(&s.out, c.Conn), hpack.NewEncoder(&s.fields)
	s.f.ReadMetaHeaders, s.f.MaxHeaderListSize = hpack.NewDecoder(h2.tableSize(), nil), maxFields
	s.f.SetMaxReadFrameSize(maxFrame)
	s.f.WriteSettings(h2.settings()...)
	s.f.WriteWindowUpdate(0, h2.Window)
	return s
}

// ask has req be sent, whose fields encode writes, when run is called.
func (s *connH2) ask(req *http.Request, weight uint8, encode func(*hpack.Encoder), body []byte) {
	s.fields.Reset()
	encode(s.encoder)
	stream := streamOf(len(s.asked))
	s.f.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: s.fields.Bytes(), EndHeaders: true, EndStream: len(body) == 0,
		Priority: http2.PriorityParam{StreamDep: s.after(weight), Weight: weight, Exclusive: s.c.look.data.H2.Exclusive},
	})
	if len(body) > 0 {
		s.f.WriteData(stream, true, body)
	}
	s.asked = append(s.asked, &answerH2{req: req, weight: weight})
}

// run sends what was asked, and reads until all of it was answered, or given up.
func (s *connH2) run() error {
	for range maxFrames {
		if _, err := s.out.WriteTo(s.c); err != nil {
			return err
		}
		if err := s.next(); err != nil {
			return err
		}
		if !slices.ContainsFunc(s.asked, func(a *answerH2) bool { return !a.ended }) {
			return nil
		}
	}
	return errors.New("the answer has too many frames")
}

// roundTripH2 sends one request, and reads the whole answer to it.
func (c *Conn) roundTripH2(req *http.Request, body []byte) (*http.Response, error) {
	s, h2 := c.beginH2(), &c.look.data.H2
	s.ask(req, h2.Weight, func(e *hpack.Encoder) { h2.encode(e, req, len(body)) }, body)
	err := s.run()
	a := s.asked[0]
	if a.head == nil {
		return nil, cmp.Or(err, a.gone)
	}
	return a.response(err), nil
}

// answerH2 is what has come of an answer.
type answerH2 struct {
	req    *http.Request
	weight uint8
	head   *http.Response // nil: it has not come yet
	body   bytes.Buffer
	unsaid int   // bytes of the body that the server does not know to be read
	ended  bool  // nothing more comes, or is wanted
	cut    bool  // the body is longer than maxBody
	gone   error // why the server has given it up; nil: it has not
}

// response is the answer. err, if any, is why no more of the body has come.
func (a *answerH2) response(err error) *http.Response {
	promised, _ := strconv.Atoi(a.head.Header.Get("Content-Length"))
	isCut := err != nil && !a.ended || a.gone != nil || a.cut || a.body.Len() < promised && a.head.StatusCode != http.StatusNotModified
	a.head.Body = bodyOf(a.body.Bytes(), isCut)
	return a.head
}

// brokenOff is the rest of a body that was cut.
type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// next takes one frame.
func (s *connH2) next() error {
	frame, err := s.f.ReadFrame()
	if err != nil {
		return err
	}
	switch frame := frame.(type) {
	case *http2.SettingsFrame:
		if !frame.IsAck() {
			if size, ok := frame.Value(http2.SettingHeaderTableSize); ok {
				s.encoder.SetMaxDynamicTableSizeLimit(size)
			}
			return s.f.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !frame.IsAck() {
			return s.f.WritePing(true, frame.Data)
		}
	case *http2.GoAwayFrame:
		for i, a := range s.asked {
			if streamOf(i) > frame.LastStreamID {
				a.giveUp()
			}
		}
	case *http2.RSTStreamFrame, *http2.MetaHeadersFrame, *http2.DataFrame:
		return s.answer(frame)
	}
	return nil
}

var (
	errGivenUp = errors.New("the server gives the request up")
	errUnasked = errors.New("the server answers what it was not asked")
)

// giveUp notes that the server does not answer, or no more.
func (a *answerH2) giveUp() {
	if !a.ended {
		a.ended, a.gone = true, errGivenUp
	}
}

// answer takes a part of an answer.
func (s *connH2) answer(frame http2.Frame) (err error) {
	stream := frame.Header().StreamID
	if stream%2 == 0 || int(stream/2) >= len(s.asked) {
		return errUnasked
	}
	a := s.asked[stream/2]
	switch frame := frame.(type) {
	case *http2.RSTStreamFrame:
		a.giveUp()
	case *http2.MetaHeadersFrame:
		if a.ended = a.ended || frame.StreamEnded(); a.head == nil {
			a.head, err = headOf(frame, a.req)
		}
	case *http2.DataFrame:
		return a.data(s.f, frame)
	}
	return err
}

// data takes a part of the body, and now and then says that it was read.
func (a *answerH2) data(f *http2.Framer, frame *http2.DataFrame) error {
	if a.ended {
		return nil // of one that is not wanted any more
	}
	b := frame.Data()
	if room := maxBody - a.body.Len(); len(b) > room {
		b, a.cut = b[:room], true
	}
	a.body.Write(b)
	a.ended = frame.StreamEnded() || a.cut
	if a.unsaid += len(frame.Data()); a.unsaid < sayRead {
		return nil
	}
	defer func() { a.unsaid = 0 }()
	return f.WriteWindowUpdate(frame.StreamID, uint32(a.unsaid))
}

// headOf is what a frame of fields says; nil: it is not the final answer's.
func headOf(frame *http2.MetaHeadersFrame, req *http.Request) (*http.Response, error) {
	status, err := strconv.Atoi(frame.PseudoValue("status"))
	if err != nil {
		return nil, fmt.Errorf("the answer has no status: %w", err)
	}
	if status < 200 {
		return nil, nil
	}
	answer := &http.Response{StatusCode: status, Proto: "HTTP/2.0", ProtoMajor: 2, Header: http.Header{}, Request: req}
	for _, field := range frame.RegularFields() {
		answer.Header.Add(field.Name, field.Value)
	}
	return answer, nil
}

func (h *H2) settings() (all []http2.Setting) {
	for _, s := range h.Settings {
		all = append(all, http2.Setting{ID: http2.SettingID(s[0]), Val: s[1]})
	}
	return all
}

// tableSize is how large a table for fields the server may use.
func (h *H2) tableSize() uint32 {
	for _, s := range h.Settings {
		if http2.SettingID(s[0]) == http2.SettingHeaderTableSize {
			return s[1]
		}
	}
	return 4096 // RFC 7541, section 4.2
}

// encode writes the fields of a request. One that says of what type its body is says no more of itself than that, as
// a browser's question to a resolver does.
func (h *H2) encode(e *hpack.Encoder, req *http.Request, length int) {
	values := map[string]string{":method": req.Method, ":authority": req.URL.Host, ":scheme": "https", ":path": req.URL.RequestURI()}
	empty := map[string]string{holeCookie: "", holeTag: "", holeModified: ""}
	isPage := req.Header.Get("Content-Type") == ""
	for _, field := range h.Fields {
		if value, ok := values[field[0]]; ok {
			e.WriteField(hpack.HeaderField{Name: field[0], Value: value})
		} else if value := fill(field[1], empty); isPage && value != "" {
			e.WriteField(hpack.HeaderField{Name: field[0], Value: value})
		}
	}
	if !isPage {
		e.WriteField(hpack.HeaderField{Name: "content-length", Value: strconv.Itoa(length)})
		for _, name := range posted {
			if value := req.Header.Get(name); value != "" {
				e.WriteField(hpack.HeaderField{Name: strings.ToLower(name), Value: value})
			}
		}
	}
}

// posted are the headers of a request with a body, in their order.
var posted = []string{"Accept", "Content-Type"}

// RoundTrip sends req, the only request on c, by the protocol that was agreed on, and reads the answer with its
// body: one of more than 512 KiB ends there, in io.ErrUnexpectedEOF. A request without a body is
// the browser's for a page. If its context ends, c is closed.
func (c *Conn) RoundTrip(req *http.Request) (*http.Response, error) {
	defer context.AfterFunc(req.Context(), func() { c.NetConn().Close() })()
	var body []byte
	if req.Body != nil {
		defer req.Body.Close()
		var err error
		if body, err = io.ReadAll(io.LimitReader(req.Body, maxBody)); err != nil {
			return nil, err
		}
	}
	if c.isH2() {
		return c.roundTripH2(req, body)
	}
	return c.roundTripH1(req, body)
}

func (h *H2) check() error {
	var names []string
	for _, field := range h.Fields {
		names = append(names, field[0])
	}
	for _, need := range []string{":method", ":authority", ":scheme", ":path", "user-agent"} {
		if !slices.Contains(names, need) {
			return errors.New("the request by HTTP/2 lacks " + need)
		}
	}
	if h.tableSize() > 1<<20 || h.Window == 0 || h.Window > 1<<31-1 || len(h.Fields) > maxLines || len(h.Settings) > maxLines {
		return errors.New("the beginning by HTTP/2 has values that cannot be")
	}
	return nil
}
