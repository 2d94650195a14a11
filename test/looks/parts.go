package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"culvert/client/look"
)

// question is one request of a visit to a page that embeds something.
type question struct {
	target   string
	lines    []header
	priority http2.PriorityParam // by HTTP/2
}

// header is a line of a request, or a field by HTTP/2.
type header struct{ name, value string }

// partPage embeds one of each kind. It is loaded again by itself, so that it is asked for by what was kept of it.
const partPage = `<!doctype html><html><head><title>Site</title><link rel="stylesheet" href="/style.css">
<link rel="icon" href="/icon.png"><script src="/script.js"></script><script defer src="/later.js"></script></head><body><img src="/image.png">
<script>if (!sessionStorage.again) { sessionStorage.again = 1; onload = () => setTimeout(() => location.href = "/", 1000) }</script>`

// partTypes are the kinds of what partPage embeds, by where it is.
var partTypes = map[string]string{
	"/": "text/html", "/style.css": "text/css", "/script.js": "application/javascript", "/later.js": "application/javascript", "/image.png": "image/png", "/icon.png": "image/png",
}

// pixel is an image.
var pixel = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82")

func partBody(target string) []byte {
	switch target {
	case "/":
		return []byte(partPage)
	case "/image.png", "/icon.png":
		return pixel
	}
	return []byte("\n")
}

// partFields are what an answer says of itself.
func partFields(target string) [][2]string {
	kind, ok := partTypes[target]
	if !ok {
		return nil
	}
	return [][2]string{{"content-type", kind}, {"cache-control", "no-cache"}, {"etag", `"tag"`},
		{"last-modified", "Sun, 12 Oct 2025 16:20:07 GMT"}, {"set-cookie", "visitor=v; Secure; HttpOnly; Path=/"}}
}

// servePartsH1 answers all requests of a connection.
func (s *site) servePartsH1(c *tls.Conn) {
	for r := bufio.NewReader(c); ; {
		head, err := readHead(r)
		if err != nil {
			return
		}
		_, rest, _ := strings.Cut(head, " ")
		target, _, _ := strings.Cut(rest, " ")
		q := question{target: target}
		for line := range strings.Lines(head) {
			name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ": ")
			q.lines = append(q.lines, header{name, value})
		}
		s.questions <- q
		body, answer := partBody(target), "HTTP/1.1 200 OK\r\n"
		fields := partFields(target)
		if fields == nil {
			body, answer = nil, "HTTP/1.1 404 Not Found\r\n"
		}
		for _, f := range fields {
			answer += f[0] + ": " + f[1] + "\r\n"
		}
		fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n%s", answer, len(body), body)
	}
}

// servePartsH2 is the same by HTTP/2.
func (s *site) servePartsH2(c *tls.Conn) {
	if _, err := io.CopyN(io.Discard, c, int64(len(http2.ClientPreface))); err != nil {
		return
	}
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(1<<16, nil)
	f.WriteSettings()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			s.answerPart(f, frame)
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				f.WriteSettingsAck()
			}
		}
	}
}

func (s *site) answerPart(f *http2.Framer, frame *http2.MetaHeadersFrame) {
	target := frame.PseudoValue("path")
	q := question{target: target, priority: frame.Priority}
	for _, field := range frame.Fields {
		q.lines = append(q.lines, header{field.Name, field.Value})
	}
	s.questions <- q
	var block bytes.Buffer
	e, fields, status := hpack.NewEncoder(&block), partFields(target), "200"
	e.SetMaxDynamicTableSize(0)
	if fields == nil {
		status = "404"
	}
	e.WriteField(hpack.HeaderField{Name: ":status", Value: status})
	for _, field := range fields {
		e.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: frame.StreamID, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: fields == nil})
	if fields != nil {
		f.WriteData(frame.StreamID, true, partBody(target))
	}
}

// questionsOf has the browser visit a page with parts, twice.
func (b *browser) questionsOf(ctx context.Context, protocol string) (all []question, err error) {
	s, err := newSite(0, protocol)
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.questions = make(chan question, 100)
	return b.questionsAt(ctx, s)
}

// questionsAt is questionsOf at a site that there is already.
func (b *browser) questionsAt(ctx context.Context, s *site) (all []question, err error) {
	err = b.visit(ctx, s, 0, func(ctx context.Context) error {
		for !isWhole(all) {
			select {
			case q := <-s.questions:
				all = append(all, q)
			case <-ctx.Done():
				return errors.New("it has not asked for all twice")
			}
		}
		return nil
	})
	return all, err
}

// isWhole reports whether a browser has asked for all that a page embeds twice, but for the icon.
func isWhole(all []question) bool {
	for kind, target := range partTargets {
		if n := len(asked(all, target)); n == 0 || n == 1 && kind != look.Icon {
			return false
		}
	}
	return true
}

// takeParts describes in d what the browser asked for in two visits, by HTTP/2 and by HTTP/1.1.
func takeParts(d *look.Data, h2, h1 []question) error {
	fields, err := templateOf(h2)
	if err != nil {
		return err
	}
	lines, err := templateOf(h1)
	if err != nil {
		return err
	}
	d.Parts = look.Parts{Lines: spelled(lines), Fields: spelled(fields), Kinds: map[look.Part]look.PartsOfOneKind{}}
	d.Parts.Lines[0] = "GET {target} HTTP/1.1"
	for kind, target := range partTargets {
		q := asked(h2, target)[0]
		d.Parts.Kinds[kind] = look.PartsOfOneKind{
			Accept: q.value("accept"), Dest: q.value("sec-fetch-dest"), Priority: q.value("priority"), Weight: q.priority.Weight,
		}
	}
	d.Parts.LaterLast = placeOf(h2, "/later.js") > placeOf(h2, "/image.png")
	page := asked(h2, "/")
	d.H2.Fields = nil
	for _, h := range documentOf(page, fields) {
		d.H2.Fields = append(d.H2.Fields, [2]string{h.name, h.value})
	}
	d.Visit = spelled(documentOf(asked(h1, "/"), lines))
	d.Visit[0] = "GET {target} HTTP/1.1"
	return nil
}

// partTargets is where partPage has the parts of each kind.
var partTargets = map[look.Part]string{look.Style: "/style.css", look.Script: "/script.js", look.Later: "/later.js", look.Image: "/image.png", look.Icon: "/icon.png"}

func spelled(all []header) (lines []string) {
	for _, h := range all {
		lines = append(lines, h.name+": "+h.value)
	}
	return lines
}

// asked are the questions for one address, in their order.
func asked(all []question, target string) (some []question) {
	for _, q := range all {
		if q.target == target {
			some = append(some, q)
		}
	}
	return some
}

func (q *question) value(name string) string {
	if i := indexOf(q.lines, name); i >= 0 {
		return q.lines[i].value
	}
	return ""
}

func indexOf(all []header, name string) int {
	return slices.IndexFunc(all, func(h header) bool { return strings.EqualFold(h.name, name) })
}

// placeOf is when something was asked for first.
func placeOf(all []question, target string) int {
	return slices.IndexFunc(all, func(q question) bool { return q.target == target })
}

// partHoles are what differs from part to part.
var partHoles = map[string]string{
	":path": "{target}", ":authority": "{host}", "host": "{host}", "referer": "{referer}", "cookie": "{cookie}", "if-none-match": "{tag}",
	"if-modified-since": "{modified}", "accept": "{accept}", "sec-fetch-dest": "{dest}", "priority": "{priority}",
}

// templateOf is what all questions for parts have in common. The last of each kind was for what the browser had.
func templateOf(all []question) (template []header, err error) {
	for _, kind := range []look.Part{look.Style, look.Script, look.Later, look.Image, look.Icon} {
		some := asked(all, partTargets[kind])
		if len(some) == 0 || kind != look.Icon && len(some) < 2 {
			return nil, fmt.Errorf("it asks for no %s twice", kind)
		}
		last, want := withHoles(some[len(some)-1].lines), template
		if kind == look.Icon {
			want = slices.DeleteFunc(slices.Clone(want), func(h header) bool { return h.value == "{tag}" || h.value == "{modified}" })
		}
		if indexOf(last, "priority") < 0 { // it is the usual one
			want = slices.DeleteFunc(slices.Clone(want), func(h header) bool { return h.value == "{priority}" })
		}
		if template == nil {
			template = last
		} else if !slices.Equal(last[1:], want[1:]) {
			return nil, fmt.Errorf("it asks for a %s in another way than for other parts: %v and %v", kind, last, want)
		}
	}
	return template, nil
}

func withHoles(lines []header) (all []header) {
	for _, h := range lines {
		if hole, ok := partHoles[strings.ToLower(h.name)]; ok {
			h.value = hole
		}
		all = append(all, header{h.name, usual(h.value)})
	}
	return all
}

// documentOf is the question for a page whose address somebody types: the first, with the places that the second, or
// else a part, shows for what the browser has of the site.
func documentOf(page []question, part []header) (all []header) {
	for _, h := range page[0].lines {
		if strings.EqualFold(h.name, "host") {
			h.value = "{host}"
		}
		all = append(all, header{h.name, usual(h.value)})
	}
	for _, from := range [][]header{page[len(page)-1].lines, part} {
		for i, h := range from {
			hole := partHoles[strings.ToLower(h.name)]
			if indexOf(all, h.name) >= 0 || hole != "{cookie}" && hole != "{tag}" && hole != "{modified}" {
				continue
			}
			for i--; indexOf(all, from[i].name) < 0; i-- {
			}
			all = slices.Insert(all, indexOf(all, from[i].name)+1, header{h.name, hole})
		}
	}
	return all
}
