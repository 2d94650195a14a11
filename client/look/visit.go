package look

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Part is a kind of what a visit to a page asks for.
type Part string

// The kinds. All but a Document are what a page embeds.
const (
	Document Part = "document"
	Style    Part = "style"
	Script   Part = "script"
	Later    Part = "later" // a script that waits for the page
	Image    Part = "image"
	Icon     Part = "icon"
)

// Parts is how the browser asks for what a page embeds.
type Parts struct {
	Lines  []string                `json:"lines"`  // by HTTP/1.1
	Fields []string                `json:"fields"` // by HTTP/2, "name: value" each
	Kinds  map[Part]PartsOfOneKind `json:"kinds"`

	LaterLast bool `json:"later_last"` // scripts that wait for the page come after images, wherever they stand
}

// PartsOfOneKind is what tells the requests for parts of one kind from others.
type PartsOfOneKind struct {
	Accept   string `json:"accept"`
	Dest     string `json:"dest"`
	Priority string `json:"priority"` // empty: none is said
	Weight   uint8  `json:"weight"`
}

func (p *Parts) check() error {
	for _, kind := range []Part{Style, Script, Later, Image, Icon} {
		if k := p.Kinds[kind]; k.Accept == "" || k.Dest == "" || len(k.Accept)+len(k.Dest)+len(k.Priority) > maxLine {
			return errors.New("the requests for parts of a page lack " + string(kind))
		}
	}
	whole := strings.Join(p.Fields, "\n")
	for _, need := range []string{":path: ", ":authority: ", ":method: ", holeCookie, holeTag, holeModified, holeReferer, holeAccept, holeDest, holePriority} {
		if !strings.Contains(whole, need) {
			return errors.New("the request for a part of a page by HTTP/2 lacks " + need)
		}
	}
	if len(p.Fields) > maxLines || len(whole) > maxLines*maxLine {
		return errors.New("the request for a part of a page by HTTP/2 is too long")
	}
	return nil
}

// Ask is one request of a visit. Its texts come from a website: they hold no byte that ends a header.
type Ask struct {
	Part     Part
	Host     string
	Target   string // path and query
	Referer  string // empty: somebody typed the address
	Cookies  string // "name=value; name=value"
	Tag      string // If-None-Match
	Modified string // If-Modified-Since
}

func (a *Ask) values(l *Look) map[string]string {
	k := l.data.Parts.Kinds[a.Part]
	return map[string]string{
		holeTarget: a.Target, holeHost: a.Host, holeReferer: a.Referer, holeCookie: a.Cookies, holeTag: a.Tag, holeModified: a.Modified,
		holeAccept: k.Accept, holeDest: k.Dest, holePriority: k.Priority,
	}
}

// request is what an answer belongs to.
func (a *Ask) request() *http.Request {
	return &http.Request{Method: http.MethodGet, Host: a.Host, URL: &url.URL{Scheme: "https", Host: a.Host, Opaque: a.Target}}
}

// Session is what a browser asks for by one connection, one page and what it embeds. One goroutine may use it.
type Session struct {
	c  *Conn
	h2 *connH2       // nil: HTTP/1.1 is spoken
	h1 *bufio.Reader // nil: there is h2
}

// Session begins one on c, by which nothing was asked yet. Whoever closes c ends what waits for answers.
func (c *Conn) Session() *Session {
	if c.isH2() {
		return &Session{c: c, h2: c.beginH2()}
	}
	return &Session{c: c, h1: bufio.NewReader(io.LimitReader(c, maxFields+maxBody))}
}

// LaterLast reports whether the browser asks for images before it asks for scripts that wait for the page.
func (s *Session) LaterLast() bool { return s.c.look.data.Parts.LaterLast }

// Ask asks for all at once by HTTP/2, and else for one after another, and reads the answers with their bodies. An
// answer is nil where none has come; the error says why that is so of any, and nothing can be asked any more then.
func (s *Session) Ask(asks ...Ask) ([]*http.Response, error) {
	if s.h2 != nil {
		return s.askH2(asks)
	}
	answers := make([]*http.Response, len(asks))
	for i := range asks {
		answer, err := s.askH1(&asks[i])
		if err != nil {
			return answers, err
		}
		if answers[i] = answer; answer.Close && i < len(asks)-1 {
			return answers, errGivenUp
		}
	}
	return answers, nil
}

func (s *Session) askH1(a *Ask) (*http.Response, error) {
	lines := s.c.look.data.Parts.Lines
	if a.Part == Document {
		lines = s.c.look.data.Visit
	}
	if _, err := s.c.Write(appendLines(nil, lines, a.values(s.c.look))); err != nil {
		return nil, err
	}
	answer, err := finalAnswer(s.h1, a.request())
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	whole, err := io.ReadAll(answer.Body)
	answer.Body = bodyOf(whole, err != nil)
	return answer, err
}

func (s *Session) askH2(asks []Ask) ([]*http.Response, error) {
	from := len(s.h2.asked)
	for i := range asks {
		a := &asks[i]
		s.h2.ask(a.request(), s.c.look.weight(a.Part), func(e *hpack.Encoder) { s.c.look.encode(e, a) }, nil)
	}
	err := s.h2.run()
	answers := make([]*http.Response, len(asks))
	for i, a := range s.h2.asked[from:] {
		if a.head != nil {
			answers[i] = a.response(err)
		} else if err == nil {
			err = errGivenUp
		}
	}
	return answers, err
}

func (l *Look) weight(p Part) uint8 {
	if p == Document {
		return l.data.H2.Weight
	}
	return l.data.Parts.Kinds[p].Weight
}

// encode writes the fields of a request by HTTP/2.
func (l *Look) encode(e *hpack.Encoder, a *Ask) {
	values := a.values(l)
	write := func(name, value string) {
		switch name {
		case ":path":
			value = a.Target
		case ":authority":
			value = a.Host
		}
		for _, one := range crumbs(name, fill(value, values)) {
			e.WriteField(hpack.HeaderField{Name: name, Value: one})
		}
	}
	if a.Part == Document {
		for _, f := range l.data.H2.Fields {
			write(f[0], f[1])
		}
		return
	}
	for _, f := range l.data.Parts.Fields {
		at := strings.LastIndex(f[:strings.Index(f, ": ")+1], ":")
		write(f[:at], f[at+2:])
	}
}

// crumbs are the values of a field: browsers send each cookie by itself (RFC 9113, section 8.2.3).
func crumbs(name, value string) []string {
	switch {
	case value == "":
		return nil
	case name == "cookie":
		return strings.Split(value, "; ")
	}
	return []string{value}
}

// after is the stream that another of a weight depends on, as Chromium has it: the newest of those that are open
// and of the least weight that is no less.
func (s *connH2) after(weight uint8) (stream uint32) {
	if !s.c.look.data.H2.Exclusive {
		return 0
	}
	least := 256
	for i, a := range slices.Backward(s.asked) {
		if !a.ended && a.weight >= weight && int(a.weight) < least {
			least, stream = int(a.weight), streamOf(i)
		}
	}
	return stream
}

func (c *Conn) isH2() bool { return c.ConnectionState().NegotiatedProtocol == http2.NextProtoTLS }
