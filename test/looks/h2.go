package main

import (
	"crypto/tls"
	"io"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"culvert/client/look"
)

// opening is how a browser begins by HTTP/2: the frames before its first request, and that.
type opening struct{ look.H2 }

// receiveH2 serves a connection by HTTP/2 until its visitor has read the page.
func (s *site) receiveH2(c *tls.Conn, hello []byte) {
	if _, err := io.CopyN(io.Discard, c, int64(len(http2.ClientPreface))); err != nil {
		return
	}
	f, opens := http2.NewFramer(c, c), &opening{}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.WriteSettings()
	for first := true; ; {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			if first {
				opens.take(frame)
				s.visitors <- visitor{hello: hello, opens: opens}
			}
			s.answerH2(f, frame.StreamID, first)
			first = false
		case *http2.SettingsFrame:
			opens.takeSettings(f, frame)
		case *http2.WindowUpdateFrame:
			if frame.StreamID == 0 && first {
				opens.Window = frame.Increment
			}
		}
	}
}

func (o *opening) take(frame *http2.MetaHeadersFrame) {
	o.Weight, o.Exclusive = frame.Priority.Weight, frame.Priority.Exclusive
	for _, field := range frame.Fields {
		o.Fields = append(o.Fields, [2]string{field.Name, field.Value})
	}
}

func (o *opening) takeSettings(f *http2.Framer, frame *http2.SettingsFrame) {
	if frame.IsAck() {
		return
	}
	frame.ForeachSetting(func(s http2.Setting) error {
		o.Settings = append(o.Settings, [2]uint32{uint32(s.ID), s.Val})
		return nil
	})
	f.WriteSettingsAck()
}

// answerH2 gives the page for the first request, and says of all others that there is no such thing.
func (s *site) answerH2(f *http2.Framer, stream uint32, page bool) {
	fields := []byte{}
	add := func(name, value string) {
		fields = append(fields, 0, byte(len(name)))
		fields = append(append(append(fields, name...), byte(len(value))), value...) // literally (RFC 7541, section 6.2.2)
	}
	if !page {
		add(":status", "404")
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: fields, EndHeaders: true, EndStream: true})
		return
	}
	add(":status", "200")
	add("content-type", "text/html")
	add("set-cookie", "session=s; Secure; HttpOnly")
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: fields, EndHeaders: true})
	f.WriteData(stream, true, []byte(s.page()))
}
