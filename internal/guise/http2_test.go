package guise

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// newClient speaks HTTP/2 alone, over connections that it keeps.
func newClient(t *testing.T) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: protocols, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// odd answers in all the ways that there are: with and without a length, in parts, with trailers, with large headers,
// and with nothing.
func odd(w http.ResponseWriter, r *http.Request) {
	n := len(r.URL.Path) * 1000
	switch r.URL.Path[1] {
	case 'p': // in parts
		for range 10 {
			w.Write(bytes.Repeat([]byte("x"), n/10))
			http.NewResponseController(w).Flush()
		}
	case 'l': // with a length, in parts
		w.Header().Set("Content-Length", fmt.Sprint(n))
		for range 10 {
			w.Write(bytes.Repeat([]byte("x"), n/10))
			http.NewResponseController(w).Flush()
		}
	case 'h': // large headers, which take more than one frame
		for i := range 40 {
			w.Header().Set(fmt.Sprintf("X-Large-%d", i), strings.Repeat(fmt.Sprint(i%10, "?~"), 300))
		}
		w.Write(bytes.Repeat([]byte("x"), n))
	case 't': // trailers
		w.Header().Set("Trailer", "X-Late")
		w.Write(bytes.Repeat([]byte("x"), n))
		w.Header().Set("X-Late", "late")
	case 'n': // known
		w.WriteHeader(http.StatusNotModified)
		http.NewResponseController(w).Flush()
	case 'e': // echo
		io.Copy(w, r.Body)
	}
}

// What net/http's client reads is what the handler has written, whatever is rewritten between.
func TestHTTP2SaysTheSameInOtherWords(t *testing.T) {
	t.Parallel()
	at := serve(t, certified(t), odd)
	client := newClient(t)
	first, err := client.Head("https://" + at + "/n") // the others share its connection
	if err != nil {
		t.Fatal(err)
	}
	first.Body.Close()
	var all sync.WaitGroup
	for i := range 120 {
		all.Go(func() {
			kind, length := "plhtne"[i%6:i%6+1], i%7*5+1
			path := "/" + kind + strings.Repeat("a", length)
			method, sent := http.MethodGet, ""
			if kind == "e" {
				method, sent = http.MethodPost, strings.Repeat("y", 40_000)
			}
			r, err := http.NewRequest(method, "https://"+at+path, strings.NewReader(sent))
			if err != nil {
				t.Error(err)
				return
			}
			res, err := client.Do(r)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				return
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			want := map[string]int{"n": 0, "e": len(sent)}
			n, isOdd := want[kind]
			if !isOdd {
				n = len(path) * 1000
			}
			if err != nil || len(body) != n || res.Header.Get("Server") != "nginx" {
				t.Errorf("%s: got %d bytes and %v, want %d", path, len(body), err, n)
			}
			if kind == "h" && res.Header.Get("X-Large-39") != strings.Repeat("9?~", 300) {
				t.Errorf("%s: got other headers than were set", path)
			}
			if kind == "t" && res.Trailer.Get("X-Late") != "late" {
				t.Errorf("%s: got trailers %v", path, res.Trailer)
			}
			head, err := client.Head("https://" + at + path)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				return
			}
			head.Body.Close()
		})
	}
	all.Wait()
}

// What nginx 1.22 sends for a page, byte for byte.
func TestFieldsAreCodedAsByNginx(t *testing.T) {
	t.Parallel()
	h := fields{decoder: hpack.NewDecoder(tableSize, nil), left: map[uint32]int64{}}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":status", "200"}, {"accept-ranges", "bytes"}, {"etag", `"68ebd537-554"`}, {"last-modified", "Sun, 12 Oct 2025 16:20:07 GMT"},
		{"server", "nginx"}, {"vary", "Accept-Encoding"}, {"content-type", "text/html; charset=utf-8"}, {"content-length", "1364"}, {"date", "Sat, 28 Nov 2026 01:34:33 GMT"}} {
		encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	var frame bytes.Buffer
	http2.NewFramer(&frame, nil).WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	got, err := h.rewrite(nil, frame.Bytes(), false)
	const want = "000080010400000001" +
		"887684aa6355e76196dc34fd282794d27eea0802714006e32d5c65953168df5f92497ca589d34d1f6a1271d882a60b532acf7f5c04313336346c96dd6d5f4a044a6a22541004da8172e08" +
		"1700ea98b46ff7b8b84842d695b05443c86aa6f00832a47378cfe5c78b1c8db2eacdb6d7f3f008919085ad2b583aa62a3848fd24a8f"
	if err != nil || hex.EncodeToString(got) != want {
		t.Errorf("got %x and %v, want\n%s", got, err, want)
	}
	if data := []byte{0, 5, 84, dataFrame, 0, 0, 0, 0, 1}; h.finish(data) || data[4] != endsStream {
		t.Errorf("got flags %x for the last byte, want the stream ended by it", data[4])
	}
	if !h.finish([]byte{0, 0, 0, dataFrame, endsStream, 0, 0, 0, 1}) || len(h.left) > 0 {
		t.Error("got an empty frame behind the last byte, or the stream remembered")
	}
}

func TestTheClientsFirstSettingsAreRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings   []http2.Setting
		sets, fine bool
	}{
		"none":                   {nil, false, true},
		"others":                 {[]http2.Setting{{ID: http2.SettingEnablePush, Val: 0}}, false, true},
		"the table":              {[]http2.Setting{{ID: http2.SettingEnablePush, Val: 0}, {ID: http2.SettingHeaderTableSize, Val: 65536}}, true, true},
		"more than we look at":   {slices.Repeat([]http2.Setting{{ID: http2.SettingEnablePush, Val: 0}}, 100), false, true},
		"a push that is no push": {[]http2.Setting{{ID: http2.SettingEnablePush, Val: 2}}, false, false},
		"too large a window":     {[]http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 1 << 31}}, false, false},
		"too small frames":       {[]http2.Setting{{ID: http2.SettingMaxFrameSize, Val: 1}}, false, false},
	} {
		var b bytes.Buffer
		b.WriteString(http2.ClientPreface)
		http2.NewFramer(&b, nil).WriteSettings(c.settings...)
		sent := b.String()
		q := newRequests(reader{&b})
		got, err := io.ReadAll(q)
		if err != nil || string(got) != sent || q.sets.Load() != c.sets || q.agrees.Load() != c.fine {
			t.Errorf("%s: got %d of %d bytes, %v, sets %v, fine %v", name, len(got), len(sent), err, q.sets.Load(), q.agrees.Load())
		}
	}
}

// reader is a connection from which all comes at once.
type reader struct{ io.Reader }

func (reader) Write([]byte) (int, error)        { return 0, net.ErrClosed }
func (reader) Close() error                     { return nil }
func (reader) LocalAddr() net.Addr              { return nil }
func (reader) RemoteAddr() net.Addr             { return nil }
func (reader) SetDeadline(time.Time) error      { return nil }
func (reader) SetReadDeadline(time.Time) error  { return nil }
func (reader) SetWriteDeadline(time.Time) error { return nil }

// A client may reset each stream that it has opened, of which net/http says nothing to whoever writes for it.
func TestStreamsThatTheClientResetAreForgotten(t *testing.T) {
	t.Parallel()
	h := fields{left: map[uint32]int64{}}
	for stream := uint32(1); stream < 20_000; stream += 2 {
		h.note(stream, hpack.HeaderField{Name: "content-length", Value: "9"})
	}
	if _, last := h.left[19_999]; len(h.left) > maxLeft || !last {
		t.Errorf("got %d remembered, the last %v; want the newest %d", len(h.left), last, maxLeft)
	}
}
