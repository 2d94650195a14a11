package guise

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// sent is what a client sends that writes so, behind the preface and settings.
func sent(write func(*http2.Framer)) *bytes.Buffer {
	var b bytes.Buffer
	b.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&b, nil)
	f.AllowIllegalWrites = true
	f.WriteSettings()
	write(f)
	return &b
}

func coding(all ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, f := range all {
		at := strings.LastIndex(f, "=")
		e.WriteField(hpack.HeaderField{Name: f[:at], Value: f[at+1:]})
	}
	return b.Bytes()
}

func opened(stream uint32, block []byte) http2.HeadersFrameParam {
	return http2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndHeaders: true, EndStream: true}
}

// understood is what net/http makes of it: requests and other frames, one a word, and why the connection ends.
func understood(q *requests) string {
	var all []string
	if _, err := io.ReadFull(q, make([]byte, len(preface))); err != nil {
		return err.Error()
	}
	f := http2.NewFramer(nil, q)
	f.ReadMetaHeaders = hpack.NewDecoder(tableSize, nil)
	f.MaxHeaderListSize = MaxHead
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			if code := q.code.Load(); code != 0 {
				all = append(all, http2.ErrCode(code).String())
			} else if !errors.Is(err, io.EOF) {
				all = append(all, err.Error())
			}
			return strings.Join(all, " ")
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
		case *http2.MetaHeadersFrame:
			said := frame.PseudoValue("method") + frame.PseudoValue("path") + "@" + frame.PseudoValue("authority")
			for _, field := range frame.RegularFields() {
				said += "," + field.Name + "=" + field.Value
			}
			if frame.Truncated || frame.PseudoValue("scheme") != "https" {
				said = "truncated"
			}
			all = append(all, said)
		default:
			all = append(all, frame.Header().Type.String())
		}
	}
}

func TestRequestsAreReadAsByNginx(t *testing.T) {
	t.Parallel()
	page := []string{":method=GET", ":scheme=https", ":authority=a", ":path=/"}
	with := func(more ...string) []byte { return coding(append(slices.Clone(page), more...)...) }
	const bad = "GET/%00@a"
	for name, c := range map[string]struct {
		block []byte
		want  string
	}{
		"a page":                   {coding(page...), "GET/@a"},
		"another order":            {coding("x=y", ":path=/", ":scheme=ftp", "host=a", ":method=GET"), "GET/@a,x=y"},
		"what is of a connection":  {with("connection=close", "upgrade=h2c", "te=gzip", "keep-alive=1", "transfer-encoding=chunked", "proxy-connection=x", "expect=x", "b=c"), "GET/@a,b=c"},
		"no method":                {coding(page[1:]...), bad},
		"no scheme":                {coding(page[0], page[2], page[3]), bad},
		"no path":                  {coding(page[:3]...), bad},
		"no host":                  {coding(page[0], page[1], page[3]), bad},
		"two hosts":                {with("host=a"), bad},
		"a pseudo-header twice":    {with(":method=GET"), bad},
		"an unknown pseudo-header": {with(":x=y"), bad},
		"HEAD stays HEAD":          {coding(":method=HEAD", ":scheme=https", ":path=/"), "HEAD/%00@a"},
		"CONNECT":                  {coding(":method=CONNECT", ":authority=a:1"), bad},
		"a space in a path":        {coding(":method=GET", ":scheme=https", ":authority=a", ":path=/a b"), bad},
		"a path with a hash":       {coding(page[0], page[1], page[2], ":path=/a#/../../%zz"), "GET/a@a"},
		"a hash alone":             {coding(page[0], page[1], page[2], ":path=#/"), bad},
		"a space behind a hash":    {coding(page[0], page[1], page[2], ":path=/#a b"), bad},
		"a broken path":            {coding(":method=GET", ":scheme=https", ":authority=a", ":path=/%zz"), bad},
		"a length without a body":  {with("content-length=5"), bad},
		"a length that is none":    {with("content-length=x"), bad},
		"no length":                {with("content-length=0"), "GET/@a,content-length=0"},
		"an empty name":            {with("=1"), "PROTOCOL_ERROR"},
		"a strange method":         {coding(append([]string{":method=G\x01T"}, page[1:]...)...), bad},
		"a strange scheme":         {coding(page[0], ":scheme=h\x01", page[2], page[3]), bad},
		"a user before the host":   {coding(page[0], page[1], ":authority=x@y@b", page[3]), "GET/@b"},
		"a user before no host":    {coding(page[0], page[1], ":authority=x@", page[3]), "GET/@a"},
		"a host of two dots":       {coding(page[0], page[1], ":authority=a..b", page[3]), bad},
		"a host that is a dot":     {coding(page[0], page[1], ":authority=.", page[3]), bad},
		"a port alone":             {coding(page[0], page[1], ":authority=:443", page[3]), bad},
		"two lengths":              {with("content-length=0", "content-length=0"), bad},
		"a condition twice":        {with("if-none-match=*", "if-none-match=*"), bad},
		"what is expected twice":   {with("expect=x", "expect=x"), bad},
		"strange names":            {with("x\xff=1", "x[=2", "x=3"), "GET/@a,x=3"},
		"strange values":           {with("x=a\x01\x7f\t\xff", "cookie=\x02"), "GET/@a,x=a??\t\xff,cookie=?"},
		"a field that is too long": {with("x=" + strings.Repeat("~", maxField+1)), "ENHANCE_YOUR_CALM"},
		"fields that are too long": {with("a="+strings.Repeat("~", maxField), "b="+strings.Repeat("~", maxField), "c="+strings.Repeat("~", maxField),
			"d="+strings.Repeat("~", maxField)), "ENHANCE_YOUR_CALM"},
		"more than is kept": {with("a=b", "c="+strings.Repeat("~", maxField), "d="+strings.Repeat("~", maxField), "e=f"), "GET/@a,a=b,c=" + strings.Repeat("~", maxField) + ",e=f"},
		"a broken block":    {[]byte{0xff, 0xff, 0xff, 0xff, 0xff}, "COMPRESSION_ERROR"},
	} {
		in := sent(func(f *http2.Framer) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.block[:1], EndStream: true, PadLength: 3, Priority: http2.PriorityParam{Weight: 5}})
			f.WriteContinuation(1, false, nil)
			f.WriteContinuation(1, true, c.block[1:])
		})
		if got := understood(newRequests(reader{in})); got != c.want {
			t.Errorf("%s: got %.200q, want %.200q", name, got, c.want)
		}
	}
}

// A head that net/http takes comes out whatever the client's table of headers refers to.
func TestFieldsOfBeforeAreKnown(t *testing.T) {
	t.Parallel()
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	in := sent(func(f *http2.Framer) {
		for stream := uint32(1); stream <= 5; stream += 2 {
			block.Reset()
			for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}, {"x", "y"}} {
				e.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
			}
			f.WriteHeaders(opened(stream, block.Bytes()))
		}
	})
	if got, want := understood(newRequests(reader{in})), "GET/@a,x=y GET/@a,x=y GET/@a,x=y"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFramesThatNginxDoesNotHeedAreLeftOut(t *testing.T) {
	t.Parallel()
	page := coding(":method=GET", ":scheme=https", ":authority=a", ":path=/")
	for name, c := range map[string]struct {
		write func(*http2.Framer)
		want  string
	}{
		"of a stream that never was": {func(f *http2.Framer) {
			f.WriteData(1, true, []byte("hello"))
			f.WriteRSTStream(3, http2.ErrCodeCancel)
			f.WriteWindowUpdate(5, 7)
			f.WriteHeaders(opened(1, page))
		}, "GET/@a"},
		"of one that is": {func(f *http2.Framer) {
			f.WriteHeaders(opened(1, page))
			f.WriteData(1, true, []byte("hello"))
			f.WriteRSTStream(1, http2.ErrCodeCancel)
			f.WriteWindowUpdate(1, 7)
		}, "GET/@a DATA RST_STREAM WINDOW_UPDATE"},
		"a goodbye":          {func(f *http2.Framer) { f.WriteGoAway(0, 0, nil); f.WritePing(false, [8]byte{}) }, "PING"},
		"an even stream":     {func(f *http2.Framer) { f.WriteHeaders(opened(2, page)) }, "PROTOCOL_ERROR"},
		"a stream of before": {func(f *http2.Framer) { f.WriteHeaders(opened(3, page)); f.WriteHeaders(opened(1, page)) }, "GET/@a PROTOCOL_ERROR"},
		"something between":  {func(f *http2.Framer) { f.WriteRawFrame(http2.FrameHeaders, 1, 1, page); f.WritePing(false, [8]byte{}) }, "PROTOCOL_ERROR"},
		"another's rest": {func(f *http2.Framer) {
			f.WriteRawFrame(http2.FrameHeaders, 1, 1, page)
			f.WriteContinuation(3, true, nil)
		}, "PROTOCOL_ERROR"},
		"too much padding": {func(f *http2.Framer) { f.WriteRawFrame(http2.FrameHeaders, 0xd, 1, []byte{9, 1}) }, "PROTOCOL_ERROR"},
		"no padding":       {func(f *http2.Framer) { f.WriteRawFrame(http2.FrameHeaders, 0xd, 1, nil) }, "PROTOCOL_ERROR"},
		"no priority":      {func(f *http2.Framer) { f.WriteRawFrame(http2.FrameHeaders, 0x25, 1, []byte{1}) }, "PROTOCOL_ERROR"},
		"of itself": {func(f *http2.Framer) {
			f.WriteRawFrame(http2.FrameHeaders, 0x25, 1, append([]byte{0, 0, 0, 1, 5}, page...))
		}, "PROTOCOL_ERROR"},
		"a rest without end": {func(f *http2.Framer) { f.WriteRawFrame(http2.FrameHeaders, 1, 1, page); rests(f, 100, nil) }, "ENHANCE_YOUR_CALM"},
		"a rest that is long": {func(f *http2.Framer) {
			f.WriteRawFrame(http2.FrameHeaders, 1, 1, page)
			rests(f, 9, make([]byte, 8<<10))
		}, "ENHANCE_YOUR_CALM"},
		"a huge head": {func(f *http2.Framer) { f.WriteRawFrame(http2.FrameHeaders, 5, 1, make([]byte, maxBlock+1)) }, "ENHANCE_YOUR_CALM"},
	} {
		if got := understood(newRequests(reader{sent(c.write)})); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func rests(f *http2.Framer, n int, part []byte) {
	for range n {
		f.WriteContinuation(1, false, part)
	}
}

// A block of some kilobytes may refer to its table as if it was megabytes.
func TestABlockTakesNoMoreRoomThanAHeadMayHave(t *testing.T) {
	block := coding(":method=GET", ":scheme=https", ":authority=a", ":path=/")
	block = append(block, 0x40) // a field that is kept in the table, and all others are
	block = appendText(appendText(block, "x", false), strings.Repeat("~", 4000), false)
	block = append(block, bytes.Repeat([]byte{0xbe}, maxBlock-len(block))...)
	in := sent(func(f *http2.Framer) { f.WriteRawFrame(http2.FrameHeaders, 5, 1, block) })
	q := newRequests(reader{in})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := understood(q)
	runtime.ReadMemStats(&after)
	if got != "ENHANCE_YOUR_CALM" || after.TotalAlloc-before.TotalAlloc > 1<<20 {
		t.Errorf("got %q and %d kB taken, want it ended and no more than a megabyte in all", got, (after.TotalAlloc-before.TotalAlloc)>>10)
	}
}

// Whatever a stranger sends: what comes out is never much more, and each head in it is one that net/http takes.
func FuzzRequests(f *testing.F) {
	page := coding(":method=GET", ":scheme=https", ":authority=a", ":path=/", "x=y")
	f.Add(sent(func(f *http2.Framer) { f.WriteHeaders(opened(1, page)); f.WriteData(1, true, []byte("hello")) }).Bytes())
	f.Add(sent(func(f *http2.Framer) { f.WriteRawFrame(http2.FrameHeaders, 0, 1, page); rests(f, 3, page) }).Bytes())
	f.Add(sent(func(f *http2.Framer) { f.WriteHeaders(opened(1, coding(":path=/%00", "host=b"))) }).Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		all, _ := io.ReadAll(newRequests(reader{bytes.NewReader(in)}))
		if len(all) > 40*len(in)+100 {
			t.Fatalf("got %d bytes of %d", len(all), len(in))
		}
		if len(all) < len(preface) {
			return
		}
		framer := http2.NewFramer(nil, bytes.NewReader(all[len(preface):]))
		decoder := hpack.NewDecoder(tableSize, nil)
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			if head, ok := frame.(*http2.HeadersFrame); ok && head.HeadersEnded() {
				fields, err := decoder.DecodeFull(head.HeaderBlockFragment())
				if err != nil || len(fields) < 4 || fmt.Sprint(fields[0].Name, fields[1].Name, fields[2].Name, fields[3].Name) != ":method:scheme:authority:path" {
					t.Fatalf("got %v and %v of %x", fields, err, in)
				}
			}
		}
	})
}
