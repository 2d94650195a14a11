package look

import (
	"bytes"
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

// onlyStream is the number of the one request.
const onlyStream = 1

// roundTripH2 sends one request, and reads the whole answer to it.
func (c *Conn) roundTripH2(req *http.Request, body []byte) (*http.Response, error) {
	var begin bytes.Buffer
	begin.WriteString(http2.ClientPreface)
	h2 := &c.look.data.H2
	f := http2.NewFramer(&begin, c.Conn)
	f.ReadMetaHeaders, f.MaxHeaderListSize = hpack.NewDecoder(h2.tableSize(), nil), maxFields
	f.SetMaxReadFrameSize(maxFrame)
	f.WriteSettings(h2.settings()...)
	f.WriteWindowUpdate(0, h2.Window)
	f.WriteHeaders(http2.HeadersFrameParam{
		StreamID: onlyStream, BlockFragment: h2.block(req, len(body)), EndHeaders: true, EndStream: len(body) == 0,
		Priority: http2.PriorityParam{Weight: h2.Weight, Exclusive: h2.Exclusive},
	})
	if len(body) > 0 {
		f.WriteData(onlyStream, true, body)
	}
	if _, err := c.Write(begin.Bytes()); err != nil {
		return nil, err
	}
	return c.readH2(f, &begin, req)
}

// readH2 reads the answer, whose body is cut after maxBody. What f writes meanwhile comes to out.
func (c *Conn) readH2(f *http2.Framer, out *bytes.Buffer, req *http.Request) (*http.Response, error) {
	a := &answerH2{req: req}
	for range maxFrames {
		out.Reset()
		err := a.next(f)
		if err == nil && !a.ended {
			_, err = c.Write(out.Bytes())
		}
		switch {
		case err != nil && a.head == nil:
			return nil, err
		case err != nil || a.ended && a.head != nil:
			return a.response(err), nil
		}
	}
	return nil, errors.New("the answer has too many frames")
}

// answerH2 is what has come of an answer.
type answerH2 struct {
	req    *http.Request
	head   *http.Response // nil: it has not come yet
	body   bytes.Buffer
	unsaid int  // bytes of the body that the server does not know to be read
	ended  bool // nothing more comes, or is wanted
	cut    bool // the body is longer than maxBody
}

// response is the answer. err, if any, is why no more of the body has come.
func (a *answerH2) response(err error) *http.Response {
	promised, _ := strconv.Atoi(a.head.Header.Get("Content-Length"))
	a.head.Body = bodyOf(a.body.Bytes(), err != nil || a.cut || a.body.Len() < promised)
	return a.head
}

// brokenOff is the rest of a body that was cut.
type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// next takes one frame.
func (a *answerH2) next(f *http2.Framer) error {
	frame, err := f.ReadFrame()
	if err != nil {
		return err
	}
	if id := frame.Header().StreamID; id != 0 && id != onlyStream && isAnswer(frame) {
		return errors.New("the server answers what it was not asked")
	}
	switch frame := frame.(type) {
	case *http2.SettingsFrame:
		if !frame.IsAck() {
			return f.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !frame.IsAck() {
			return f.WritePing(true, frame.Data)
		}
	case *http2.GoAwayFrame:
		if frame.LastStreamID < onlyStream {
			return errGivenUp
		}
	case *http2.RSTStreamFrame:
		return errGivenUp
	case *http2.MetaHeadersFrame:
		a.ended = frame.StreamEnded()
		if a.head == nil {
			a.head, err = headOf(frame, a.req)
		}
		return err
	case *http2.DataFrame:
		return a.data(f, frame)
	}
	return nil
}

var errGivenUp = errors.New("the server gives the request up")

// isAnswer reports whether a frame is a part of an answer.
func isAnswer(frame http2.Frame) bool {
	switch frame.(type) {
	case *http2.MetaHeadersFrame, *http2.DataFrame, *http2.RSTStreamFrame:
		return true
	}
	return false
}

// data takes a part of the body, and now and then says that it was read.
func (a *answerH2) data(f *http2.Framer, frame *http2.DataFrame) error {
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
	return f.WriteWindowUpdate(onlyStream, uint32(a.unsaid))
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

// block is the fields of a request. One that says of what type its body is says no more of itself than that, as
// a browser's question to a resolver does.
func (h *H2) block(req *http.Request, length int) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	values := map[string]string{":method": req.Method, ":authority": req.URL.Host, ":scheme": "https", ":path": req.URL.RequestURI()}
	isPage := req.Header.Get("Content-Type") == ""
	for _, field := range h.Fields {
		if value, ok := values[field[0]]; ok {
			e.WriteField(hpack.HeaderField{Name: field[0], Value: value})
		} else if isPage {
			e.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
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
	return b.Bytes()
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
	if c.ConnectionState().NegotiatedProtocol == http2.NextProtoTLS {
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
