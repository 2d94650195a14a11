package guise

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2/hpack"
)

// request is what the headers of a request over HTTP/2 say, as nginx reads them.
type request struct {
	ends bool // nothing comes behind the headers

	method, scheme, path, authority string
	hosts                           int      // how many name a host, :authority among them
	seen                            []string // of fields that come once
	isBad                           bool     // nginx answers it with 400
	code                            uint32   // why the connection is to end; 0: it is not
	size                            int      // of all fields
	kept                            []byte   // fields behind those four, coded
	cost                            int      // of kept, as net/http counts
}

// fieldCost is what a field counts beside its bytes (RFC 9113, section 6.5.2).
const fieldCost = 32

// read takes a block apart. A code is why the connection is to end.
func (r *request) read(d *hpack.Decoder, block []byte) (code uint32) {
	d.SetEmitEnabled(true)
	d.SetEmitFunc(func(f hpack.HeaderField) {
		if r.field(f.Name, f.Value); r.code != 0 {
			d.SetEmitEnabled(false) // whatever the block refers to takes no room any more
		}
	})
	_, err := d.Write(block)
	if r.code != 0 {
		return r.code
	}
	if err != nil || d.Close() != nil {
		return compressionError
	}
	return 0
}

// field takes one field, the first ones first.
func (r *request) field(name, value string) {
	r.size += len(name) + len(value)
	switch {
	case name == "":
		r.code = protocolError
	case coded(name) > maxField || coded(value) > maxField || r.size > maxFields:
		r.code = enhanceYourCalm
	case name[0] == ':':
		r.pseudo(name, value)
	default:
		r.plain(name, value)
	}
}

// coded is how long a text is as browsers code it.
func coded(text string) int { return min(len(text), int(hpack.HuffmanEncodeLength(text))) }

// pseudo takes a field that says what is asked for. nginx takes each once, in any place, and no other.
func (r *request) pseudo(name, value string) {
	to := map[string]*string{":method": &r.method, ":scheme": &r.scheme, ":path": &r.path, ":authority": &r.authority}[name]
	if to == nil || *to != "" || value == "" {
		r.isBad = true
		return
	}
	switch *to = value; name {
	case ":authority":
		r.hosts++
	case ":path": // which "#" ends
		r.path, _, _ = strings.Cut(value, "#")
		r.isBad = r.isBad || r.path == "" || strings.ContainsFunc(value, isBlank)
	}
}

// plain takes any other field. nginx does not look at those of a connection, which net/http refuses, nor at those whose
// names it finds strange, and takes any character in a value but those that end lines and texts.
func (r *request) plain(name, value string) {
	if slices.Contains(r.seen, name) {
		r.isBad = true
	} else if slices.Contains(unique, name) {
		r.seen = append(r.seen, name)
	}
	switch name {
	case "connection", "upgrade", "te", "keep-alive", "transfer-encoding", "proxy-connection", "expect":
		return
	case "host":
		r.authority = value
		r.hosts++
		return
	case "content-length":
		n, err := strconv.ParseUint(value, 10, 63)
		r.isBad = r.isBad || err != nil || n > 0 && r.ends
	}
	if isIgnored(name) {
		return
	}
	if size := len(name) + len(value) + fieldCost; r.cost+size <= maxKept {
		r.cost += size
		r.kept = appendPlain(r.kept, name, unrefused(value))
	}
}

// unrefused is a value as net/http takes it.
func unrefused(value string) string {
	b := []byte(value)
	for i, c := range b {
		if isRefused(c) {
			b[i] = '?'
		}
	}
	return string(b)
}

// isIgnored reports whether nginx passes a field over for its name, and net/http refuses the request for it. At blanks,
// colons and capitals both refuse it.
func isIgnored(name string) bool {
	return !strings.ContainsFunc(name, func(c rune) bool { return isBlank(c) || c == ':' || c >= 'A' && c <= 'Z' }) && !httpguts.ValidHeaderFieldName(name)
}

func appendPlain(block []byte, name, value string) []byte {
	return appendText(appendText(append(block, 0), name, false), value, false)
}

// isStrange reports whether nginx answers the request with 400 and net/http would not let it through to Handler.
func (r *request) isStrange() bool {
	_, err := url.ParseRequestURI(r.path)
	return r.isBad || !isMethod(r.method) || !isScheme(r.scheme) || r.path == "" || r.hosts != 1 || !isHost(r.authority) || r.method == http.MethodConnect ||
		err != nil && r.path != "*"
}

// isScheme reports whether a text is one of letters, and behind the first of digits and some signs.
func isScheme(text string) bool {
	isOther := func(c rune) bool { return (c|0x20 < 'a' || c|0x20 > 'z') && !strings.ContainsRune("0123456789+-.", c) }
	return text != "" && (text[0]|0x20 >= 'a' && text[0]|0x20 <= 'z') && !strings.ContainsFunc(text, isOther)
}

func isBlank(c rune) bool { return c <= ' ' || c == 0x7f }

// strangePath is one that Handler refuses, as nginx does, with 400.
const strangePath = "/%00"

// block is the request for net/http.
func (r *request) block() []byte {
	method, path, kept := r.method, r.path, r.kept
	authority := r.authority[strings.LastIndexByte(r.authority, '@')+1:] // net/http takes no user's name before a host
	if authority == "" {
		authority = "a"
	}
	if r.isStrange() {
		path, authority, kept = strangePath, "a", nil
		if method != http.MethodHead {
			method = http.MethodGet
		}
	}
	var b []byte
	for _, f := range [][2]string{{":method", method}, {":scheme", "https"}, {":authority", authority}, {":path", path}} {
		b = appendPlain(b, f[0], f[1])
	}
	return append(b, kept...)
}
