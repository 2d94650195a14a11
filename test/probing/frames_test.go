package probing

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// block is a request's headers, to which fields adds and of which it changes some.
func block(fields [][2]string) []byte {
	all := [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}}
	for _, f := range fields {
		known := false
		for i := range all {
			if all[i][0] == f[0] {
				all[i], known = f, true
			}
		}
		if !known && strings.HasPrefix(f[0], ":") {
			all = append([][2]string{f}, all...)
		} else if !known {
			all = append(all, f)
		}
	}
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, f := range all {
		e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	return b.Bytes()
}

// shownFrame is a frame's payload, byte for byte but for what is a date's.
func shownFrame(frame http2.Frame) string {
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		var all []string
		f.ForeachSetting(func(s http2.Setting) error { all = append(all, s.String()); return nil })
		return strings.Join(all, " ")
	case *http2.WindowUpdateFrame:
		return fmt.Sprint(f.Increment)
	case *http2.HeadersFrame:
		return undated(f.HeaderBlockFragment())
	case *http2.GoAwayFrame:
		return fmt.Sprintf("%v after %d %q", f.ErrCode, f.LastStreamID, f.DebugData())
	case *http2.RSTStreamFrame:
		return f.ErrCode.String()
	case *http2.PingFrame:
		return fmt.Sprintf("%x", f.Data)
	case *http2.DataFrame:
		return fmt.Sprintf("%d bytes: %x", len(f.Data()), sha256.Sum256(f.Data()))
	}
	return ""
}

// undated is a block of headers without the date: its fields, and its bytes around the date's.
func undated(block []byte) string {
	var all []string
	hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == "date" {
			before, after, _ := bytes.Cut(block, hpack.AppendHuffmanString(nil, f.Value))
			f.Value, block = "then", bytes.Join([][]byte{before[:len(before)-1], after}, []byte("then")) // its length differs, too
		}
		all = append(all, f.String())
	}).Write(block)
	return strings.Join(all, "\n\t") + fmt.Sprintf("\n\t%x", block)
}
