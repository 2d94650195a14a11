package probing

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/test/ports"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// second is what a stranger sends over HTTP/2 behind the preface and settings.
type second struct {
	name string
	send func(f *http2.Framer)
}

// fieldsOf codes fields as they are, in whatever order and spelling.
func fieldsOf(all ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, f := range all {
		name, value, _ := strings.Cut(f, "=")
		e.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	return b.Bytes()
}

// asked is a request for the page with more fields, as a probe.
func asked(more ...string) func(*http2.Framer) {
	return headed(append([]string{":method=GET", ":scheme=https", ":authority=a", ":path=/"}, more...)...)
}

func headed(all ...string) func(*http2.Framer) {
	return func(f *http2.Framer) { writeHeaders(f, 1, fieldsOf(all...), true) }
}

// writeHeaders writes a block in as many frames as it takes.
func writeHeaders(f *http2.Framer, stream uint32, block []byte, ends bool) {
	const most = 16 << 10
	first := block[:min(len(block), most)]
	block = block[len(first):]
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndHeaders: len(block) == 0, EndStream: ends})
	for len(block) > 0 {
		part := block[:min(len(block), most)]
		block = block[len(part):]
		f.WriteContinuation(stream, len(block) == 0, part)
	}
}

func seconds() []second {
	long := strings.Repeat("~", 9000)
	var large []string
	for i := range 6 {
		large = append(large, fmt.Sprintf("x-%d=%s", i, long[:7000]))
	}
	return []second{
		{"a page", asked()},
		{"no method", headed(":scheme=https", ":authority=a", ":path=/")},
		{"no scheme", headed(":method=GET", ":authority=a", ":path=/")},
		{"no path", headed(":method=GET", ":scheme=https", ":authority=a")},
		{"no authority", headed(":method=GET", ":scheme=https", ":path=/")},
		{"a host instead", headed(":method=GET", ":scheme=https", ":path=/", "host=a")},
		{"an empty path", headed(":method=GET", ":scheme=https", ":authority=a", ":path=")},
		{"a star", headed(":method=GET", ":scheme=https", ":authority=a", ":path=*")},
		{"another scheme", headed(":method=GET", ":scheme=ftp", ":authority=a", ":path=/")},
		{"a method in small letters", headed(":method=get", ":scheme=https", ":authority=a", ":path=/")},
		{"CONNECT", headed(":method=CONNECT", ":authority=a:1")},
		{"extended CONNECT", headed(":method=CONNECT", ":protocol=websocket", ":scheme=https", ":authority=a", ":path=/")},
		{"TRACE", headed(":method=TRACE", ":scheme=https", ":authority=a", ":path=/")},
		{"OPTIONS", headed(":method=OPTIONS", ":scheme=https", ":authority=a", ":path=/")},
		{"an unknown method", headed(":method=BREW", ":scheme=https", ":authority=a", ":path=/")},
		{"an unknown pseudo-header", headed(":method=GET", ":scheme=https", ":authority=a", ":path=/", ":x=y")},
		{"a pseudo-header twice", headed(":method=GET", ":method=GET", ":scheme=https", ":authority=a", ":path=/")},
		{"a pseudo-header behind others", headed(":method=GET", ":scheme=https", "x=y", ":authority=a", ":path=/")},
		{"a strange authority", headed(":method=GET", ":scheme=https", ":authority=a b", ":path=/")},
		{"an authority with a path", headed(":method=GET", ":scheme=https", ":authority=a/b", ":path=/")},
		{"another host beside", asked("host=b")},
		{"a path with a space", headed(":method=GET", ":scheme=https", ":authority=a", ":path=/a b")},
		{"a path with a null", headed(":method=GET", ":scheme=https", ":authority=a", ":path=/%00")},
		{"a path that climbs", headed(":method=GET", ":scheme=https", ":authority=a", ":path=/../x")},
		{"connection", asked("connection=close")},
		{"upgrade", asked("upgrade=websocket")},
		{"te", asked("te=gzip")},
		{"te trailers", asked("te=trailers")},
		{"transfer-encoding", asked("transfer-encoding=chunked")},
		{"keep-alive", asked("keep-alive=1")},
		{"proxy-connection", asked("proxy-connection=keep-alive")},
		{"expect", asked("expect=nonsense")},
		{"expect 100", asked("expect=100-continue")},
		{"capitals", asked("X-Capital=1")},
		{"a space in a name", asked("x y=1")},
		{"a colon in a name", asked("x:y=1")},
		{"an underscore", asked("x_y=1")},
		{"an empty name", asked("=1")},
		{"a line break in a value", asked("x=a\r\nb")},
		{"a null in a value", asked("x=a\x00b")},
		{"a null in a name", asked("x\x00y=1")},
		{"a control character in a value", asked("x=a\x01b")},
		{"a tab in a value", asked("x=a\tb")},
		{"a deletion in a value", asked("x=a\x7fb")},
		{"a byte beyond ASCII in a value", asked("x=a\xffb")},
		{"a control character in a name", asked("x\x01y=1")},
		{"a byte beyond ASCII in a name", asked("x\xffy=1")},
		{"a bracket in a name", asked("x[y=1")},
		{"a control character in a cookie", asked("cookie=a\x01b")},
		{"a control character in a host", headed(":method=GET", ":scheme=https", ":path=/", "host=a\x01b")},
		{"a control character in an authority", headed(":method=GET", ":scheme=https", ":authority=a\x01b", ":path=/")},
		{"an authority with a user", headed(":method=GET", ":scheme=https", ":authority=a@b", ":path=/")},
		{"an authority with a port", headed(":method=GET", ":scheme=https", ":authority=a:443", ":path=/")},
		{"an authority with a bad port", headed(":method=GET", ":scheme=https", ":authority=a:x", ":path=/")},
		{"an authority of IPv6", headed(":method=GET", ":scheme=https", ":authority=[::1]:443", ":path=/")},
		{"an authority with a bracket alone", headed(":method=GET", ":scheme=https", ":authority=[::1", ":path=/")},
		{"an authority with a percent", headed(":method=GET", ":scheme=https", ":authority=a%41", ":path=/")},
		{"an authority with a question", headed(":method=GET", ":scheme=https", ":authority=a?b", ":path=/")},
		{"an authority with a hash", headed(":method=GET", ":scheme=https", ":authority=a#b", ":path=/")},
		{"an authority beyond ASCII", headed(":method=GET", ":scheme=https", ":authority=a\xff", ":path=/")},
		{"an authority of two dots", headed(":method=GET", ":scheme=https", ":authority=a..b", ":path=/")},
		{"an authority that begins with a dot", headed(":method=GET", ":scheme=https", ":authority=.a", ":path=/")},
		{"an authority with an underscore", headed(":method=GET", ":scheme=https", ":authority=a_b", ":path=/")},
		{"an authority with quotes", headed(":method=GET", ":scheme=https", ":authority=a\"<b>", ":path=/")},
		{"a method with a control character", headed(":method=G\x01T", ":scheme=https", ":authority=a", ":path=/")},
		{"a method with a space", headed(":method=GET x", ":scheme=https", ":authority=a", ":path=/")},
		{"a method with a slash", headed(":method=G/T", ":scheme=https", ":authority=a", ":path=/")},
		{"a method with a digit", headed(":method=GET2", ":scheme=https", ":authority=a", ":path=/")},
		{"a method beyond ASCII", headed(":method=G\xffT", ":scheme=https", ":authority=a", ":path=/")},
		{"a method with a dash", headed(":method=M-SEARCH", ":scheme=https", ":authority=a", ":path=/")},
		{"a scheme with a control character", headed(":method=GET", ":scheme=h\x01", ":authority=a", ":path=/")},
		{"a scheme with a digit", headed(":method=GET", ":scheme=h2", ":authority=a", ":path=/")},
		{"a path with a control character", headed(":method=GET", ":scheme=https", ":authority=a", ":path=/a\x01")},
		{"a path beyond ASCII", headed(":method=GET", ":scheme=https", ":authority=a", ":path=/\xff")},
		{"a path with a hash", headed(":method=GET", ":scheme=https", ":authority=a", ":path=/#x")},
		{"a path with a hash before it climbs", headed(":method=GET", ":scheme=https", ":authority=a", ":path=/#/../../%zz")},
		{"a path that is a hash", headed(":method=GET", ":scheme=https", ":authority=a", ":path=#/")},
		{"a path with a space behind a hash", headed(":method=GET", ":scheme=https", ":authority=a", ":path=/#a b")},
		{"a path without a slash", headed(":method=GET", ":scheme=https", ":authority=a", ":path=x")},
		{"a path that is a URL", headed(":method=GET", ":scheme=https", ":authority=a", ":path=https://a/")},
		{"a path of two slashes", headed(":method=GET", ":scheme=https", ":authority=a", ":path=//a/")},
		{"two content-lengths", asked("content-length=0", "content-length=0")},
		{"two different content-lengths", asked("content-length=0", "content-length=1")},
		{"a huge content-length", asked("content-length=99999999999999999999")},
		{"a cookie with a null", asked("cookie=a\x00")},
		{"an if-modified-since with a control character", asked("if-modified-since=\x01")},
		{"a range with a control character", asked("range=bytes=0-1\x01")},
		{"two ranges", asked("range=bytes=0-1", "range=bytes=2-3")},
		{"two user agents", asked("user-agent=a", "user-agent=b")},
		{"two conditions", asked("if-none-match=*", "if-none-match=*")},
		{"two expectations", asked("expect=x", "expect=x")},
		{"two authorizations", asked("authorization=x", "authorization=x")},
		{"two ranges' conditions", asked("if-range=x", "if-range=x")},
		{"two content-ranges", asked("content-range=x", "content-range=x")},
		{"two transfer-encodings", asked("transfer-encoding=x", "transfer-encoding=x")},
		{"two types", asked("content-type=x", "content-type=x")},
		{"two times", asked("if-modified-since=Sun, 12 Oct 2025 16:20:07 GMT", "if-modified-since=Sun, 12 Oct 2025 16:20:07 GMT")},
		{"a dot for an authority", headed(":method=GET", ":scheme=https", ":authority=.", ":path=/")},
		{"a port for an authority", headed(":method=GET", ":scheme=https", ":authority=:443", ":path=/")},
		{"a user for an authority", headed(":method=GET", ":scheme=https", ":authority=a@", ":path=/")},
		{"a trailer field", asked("trailer=x")},
		{"a negative content-length", asked("content-length=-1")},
		{"a content-length with a plus", asked("content-length=+0")},
		{"a long field", asked("x=" + long)},
		{"a long name", asked(strings.Repeat("x", 9000) + "=1")},
		{"a long path", headed(":method=GET", ":scheme=https", ":authority=a", ":path=/"+long)},
		{"a path of 7 kB", headed(":method=GET", ":scheme=https", ":authority=a", ":path=/"+strings.Repeat("a", 7000))},
		{"many large fields", asked(large...)},
		{"three large fields", asked(large[:3]...)},
		{"two large fields", asked(large[:2]...)},
		{"a cookie in parts", asked("cookie=a=b", "cookie=c=d")},
		{"a content-length without a body", asked("content-length=5")},
		{"a bad content-length", asked("content-length=x")},
		{"a body where none is wanted", func(f *http2.Framer) {
			writeHeaders(f, 1, fieldsOf(":method=POST", ":scheme=https", ":authority=a", ":path=/", "content-length=5"), false)
			f.WriteData(1, true, []byte("hello"))
		}},
		{"a body that is not over", func(f *http2.Framer) {
			writeHeaders(f, 1, fieldsOf(":method=POST", ":scheme=https", ":authority=a", ":path=/"), false)
		}},
		{"another body than said", func(f *http2.Framer) {
			writeHeaders(f, 1, fieldsOf(":method=POST", ":scheme=https", ":authority=a", ":path=/", "content-length=5"), false)
			f.WriteData(1, true, []byte("hello there"))
		}},
		{"trailers", func(f *http2.Framer) {
			writeHeaders(f, 1, fieldsOf(":method=POST", ":scheme=https", ":authority=a", ":path=/"), false)
			writeHeaders(f, 1, fieldsOf("x=y"), true)
		}},
		{"an even stream", func(f *http2.Framer) {
			writeHeaders(f, 2, fieldsOf(":method=GET", ":scheme=https", ":authority=a", ":path=/"), true)
		}},
		{"a stream of before", func(f *http2.Framer) {
			asked()(f)
			writeHeaders(f, 5, fieldsOf(":method=GET", ":scheme=https", ":authority=a", ":path=/"), true)
			writeHeaders(f, 3, fieldsOf(":method=GET", ":scheme=https", ":authority=a", ":path=/"), true)
		}},
		{"a stream without headers", func(f *http2.Framer) { f.WriteData(1, true, []byte("hello")) }},
		{"headers of no stream", func(f *http2.Framer) { f.WriteRawFrame(http2.FrameHeaders, 5, 0, fieldsOf(":method=GET")) }},
		{"a broken block", func(f *http2.Framer) { f.WriteRawFrame(http2.FrameHeaders, 5, 1, []byte{0xff, 0xff, 0xff, 0xff, 0xff}) }},
		{"an index that is not there", func(f *http2.Framer) { f.WriteRawFrame(http2.FrameHeaders, 5, 1, []byte{0xfe}) }},
		{"a ping", func(f *http2.Framer) { f.WritePing(false, [8]byte{1, 2, 3}) }},
		{"a ping of nine bytes", func(f *http2.Framer) { f.WriteRawFrame(http2.FramePing, 0, 0, make([]byte, 9)) }},
		{"a ping of a stream", func(f *http2.Framer) { f.WriteRawFrame(http2.FramePing, 0, 1, make([]byte, 8)) }},
		{"a goodbye", func(f *http2.Framer) { f.WriteGoAway(0, http2.ErrCodeNo, nil) }},
		{"a reset of no stream", func(f *http2.Framer) { f.WriteRawFrame(http2.FrameRSTStream, 0, 0, make([]byte, 4)) }},
		{"a reset of an idle stream", func(f *http2.Framer) { f.WriteRSTStream(7, http2.ErrCodeCancel) }},
		{"a push", func(f *http2.Framer) { f.WriteRawFrame(http2.FramePushPromise, 4, 1, []byte{0, 0, 0, 2}) }},
		{"an unknown frame", func(f *http2.Framer) { f.WriteRawFrame(0x77, 0, 0, []byte("hello")) }},
		{"a window of 0", func(f *http2.Framer) { f.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, make([]byte, 4)) }},
		{"a window that is too large", func(f *http2.Framer) { f.WriteWindowUpdate(0, 1<<31-1) }},
		{"settings that are no settings", func(f *http2.Framer) { f.WriteRawFrame(http2.FrameSettings, 0, 0, make([]byte, 5)) }},
		{"settings of a stream", func(f *http2.Framer) { f.WriteRawFrame(http2.FrameSettings, 0, 1, nil) }},
		{"an initial window that is too large", func(f *http2.Framer) {
			f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31})
		}},
		{"frames that are too small", func(f *http2.Framer) { f.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1}) }},
		{"a push that is neither on nor off", func(f *http2.Framer) { f.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 2}) }},
		{"a continuation of nothing", func(f *http2.Framer) { f.WriteContinuation(1, true, fieldsOf(":method=GET")) }},
		{"something between", func(f *http2.Framer) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fieldsOf(":method=GET"), EndStream: true})
			f.WritePing(false, [8]byte{})
		}},
		{"padding that is too long", func(f *http2.Framer) { f.WriteRawFrame(http2.FrameHeaders, 0xd, 1, []byte{200, 1}) }},
		{"a stream that depends on itself", func(f *http2.Framer) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fieldsOf(":method=GET", ":scheme=https", ":authority=a", ":path=/"), EndStream: true, EndHeaders: true,
				Priority: http2.PriorityParam{StreamDep: 1, Weight: 3}})
		}},
		{"a priority", func(f *http2.Framer) { f.WritePriority(3, http2.PriorityParam{StreamDep: 1, Weight: 3}) }},
	}
}

// knownSecond are the probes that tell our edge from nginx, and why.
var knownSecond = map[string]string{
	"trailers":                    "net/http finds the fault before it has answered what came before",
	"a stream of before":          "the same",
	"a body where none is wanted": "net/http has read the body before it answers",
	"another body than said":      "net/http counts what comes",
}

// tellSecond sends a probe over a connection of its own, and returns the frames that come back until nothing does.
func tellSecond(t *testing.T, at string, send func(*http2.Framer)) string {
	t.Helper()
	c, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	f.AllowIllegalWrites = true
	f.WriteSettings()
	send(f)
	var seen strings.Builder
	for {
		c.SetReadDeadline(time.Now().Add(3 * quiet)) // an answer may come behind the settings
		frame, err := f.ReadFrame()
		var timeout net.Error
		if netError, ok := err.(net.Error); ok {
			timeout = netError
		}
		switch {
		case timeout != nil && timeout.Timeout():
			return seen.String() + "open"
		case err != nil:
			return seen.String() + "ended"
		}
		h := frame.Header()
		fmt.Fprintf(&seen, "%v, flags %x, stream %d: %s\n", h.Type, h.Flags, h.StreamID, shownFrame(frame))
	}
}

// Whoever probes HTTP/2 at an edge sees nginx.
func TestStrangersSeeNginxOverHTTP2(t *testing.T) {
	tries(t)
	w := newWorld(t)
	cert := w.certificate()
	_, nginx := w.newNginx("ssl_protocols TLSv1.2 TLSv1.3;")
	edge := ports.Loopback()
	w.start("edge", "CULVERT_LISTEN="+edge, "CULVERT_ORIGIN=http://"+w.origin, "CULVERT_TLS_CERT="+cert, "CULVERT_TLS_KEY="+cert)
	var all sync.WaitGroup
	some := make(chan struct{}, 24)
	for _, probe := range seconds() {
		some <- struct{}{}
		all.Go(func() {
			defer func() { <-some }()
			got, want := tellSecond(t, edge, probe.send), tellSecond(t, nginx, probe.send)
			if _, isKnown := knownSecond[probe.name]; got != want && !isKnown {
				t.Errorf("%s: got\n%s, want\n%s", probe.name, got, want)
			}
		})
	}
	all.Wait()
}
