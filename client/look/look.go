// Package look has connections begin as a browser's do: the ClientHello and the request for a
// WebSocket are a browser's, taken from the browser itself, and not Go's. It is the only package that
// knows uTLS.
package look

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	utls "github.com/refraction-networking/utls"
)

// Data is what was taken from a browser. "make looks" writes it, Parse reads it.
type Data struct {
	Name    string `json:"name"`
	Version string `json:"version"` // of the browser

	Socket []byte `json:"socket"` // the record of a ClientHello for a wss:// address
	Page   []byte `json:"page"`   // the same for an https:// address

	Shuffled    bool     `json:"shuffled"`     // each ClientHello has another order of extensions
	OneKey      bool     `json:"one_key"`      // the key share of X25519 is the one within that of X25519MLKEM768
	NoTicket    bool     `json:"no_ticket"`    // one that resumes a session of TLS 1.3 has no extension for tickets of TLS 1.2
	ECHCiphers  []uint16 `json:"ech_ciphers"`  // AEADs that a GREASE ECH names
	ECHPayloads []uint16 `json:"ech_payloads"` // lengths of its payload

	Upgrade []string `json:"upgrade"` // the lines of a request for a WebSocket
	Visit   []string `json:"visit"`   // of one for a page, by HTTP/1.1
	Connect []string `json:"connect"` // of one to a proxy

	H2    H2    `json:"h2"`
	Parts Parts `json:"parts"`
}

// H2 is how the browser begins by HTTP/2.
type H2 struct {
	Settings  [][2]uint32 `json:"settings"`
	Window    uint32      `json:"window"` // what is added to the connection's
	Weight    uint8       `json:"weight"` // of the request, less one
	Exclusive bool        `json:"exclusive"`
	Fields    [][2]string `json:"fields"` // of the request for a page
}

// What stands in lines for what differs from request to request. A line whose hole stays empty is left out.
const (
	holeTarget = "{target}"
	holeHost   = "{host}"
	holeKey    = "{key}"
	holeCookie = "{cookie}"

	holeReferer  = "{referer}"
	holeTag      = "{tag}"      // of what a cache has
	holeModified = "{modified}" // when that last changed
	holeAccept   = "{accept}"   // this and the following depend on the kind of a part
	holeDest     = "{dest}"
	holePriority = "{priority}"
)

// Look is how one browser looks. It never changes, and several goroutines may use it.
type Look struct{ data Data }

// Name is what users and links call the look.
func (l *Look) Name() string { return l.data.Name }

// UserAgent is what the browser says of itself.
func (l *Look) UserAgent() string {
	for _, line := range l.data.Upgrade {
		if name, value, _ := strings.Cut(line, ": "); strings.EqualFold(name, "User-Agent") {
			return value
		}
	}
	return ""
}

//go:embed data/*.json
var files embed.FS

// share is for how many of 256 users a look is the first: about as many browse by it.
var share = map[string]int{"chromium": 208, "firefox": 48}

// order is that in which looks are tried.
var order = []string{"chromium", "firefox"}

var embedded = sync.OnceValues(func() ([]*Look, error) {
	var all []*Look
	for _, name := range order {
		b, err := files.ReadFile("data/" + name + ".json")
		if err != nil {
			return nil, err
		}
		l, err := Parse(b)
		if err != nil {
			return nil, fmt.Errorf("look %s: %w", name, err)
		}
		all = append(all, l)
	}
	return all, nil
})

// all is every look that there is. A test makes sure that they can be read.
func all() []*Look {
	looks, err := embedded()
	if err != nil {
		panic(err)
	}
	return looks
}

// Names lists the looks, in the order in which they are tried.
func Names() []string { return slices.Clone(order) }

// ErrUnknown means that there is no look of a name.
var ErrUnknown = errors.New("there are auto, " + strings.Join(order, ", "))

// Named is the look of a name. The error is ErrUnknown.
func Named(name string) (*Look, error) {
	for _, l := range all() {
		if l.Name() == name {
			return l, nil
		}
	}
	return nil, ErrUnknown
}

// Chosen is the look that chance, of which each value is as likely, chooses.
func Chosen(chance byte) *Look {
	left := int(chance)
	for _, l := range all() {
		if left -= share[l.Name()]; left < 0 {
			return l
		}
	}
	return all()[0]
}

// Next is the look to try where l is not let through.
func (l *Look) Next() *Look {
	looks := all()
	return looks[(slices.Index(looks, l)+1)%len(looks)]
}

// maxData bounds what Parse reads.
const maxData = 64 << 10

// Parse reads the Data of a look as JSON. It does not believe that a browser wrote it: the error says what
// is wrong, and what to do.
func Parse(b []byte) (*Look, error) {
	if len(b) > maxData {
		return nil, errors.New("it is longer than any look: make looks writes it anew")
	}
	d, err := ReadData(b)
	if err != nil {
		return nil, err
	}
	l := &Look{*d}
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("%w: make looks writes it anew", err)
	}
	return l, nil
}

// ReadData reads the Data of a look as JSON, whatever is in it.
func ReadData(b []byte) (*Data, error) {
	d := new(Data)
	if err := json.Unmarshal(b, d); err != nil {
		return nil, fmt.Errorf("it is no JSON of a look: make looks writes it anew: %w", err)
	}
	return d, nil
}

func (l *Look) check() error {
	for kind, name := range map[Kind]string{Socket: "wss://", Page: "https://"} {
		if err := l.checkHello(kind); err != nil {
			return fmt.Errorf("the ClientHello for %s: %w", name, err)
		}
	}
	if !slices.Equal(l.alpn(Socket), []string{"http/1.1"}) {
		return errors.New("the ClientHello for wss:// does not offer http/1.1 alone, as a WebSocket needs")
	}
	d := &l.data
	for _, r := range []struct {
		what  string
		lines []string
		holes []string
	}{
		{"a WebSocket", d.Upgrade, []string{holeTarget, holeHost, holeKey, holeCookie}},
		{"a page", d.Visit, []string{holeTarget, holeHost, holeCookie, holeTag, holeModified}},
		{"a part of a page", d.Parts.Lines, []string{holeTarget, holeHost, holeCookie, holeTag, holeModified, holeReferer, holeAccept, holeDest}},
		{"a proxy", d.Connect, []string{holeTarget}},
	} {
		if err := checkLines(r.lines, r.holes); err != nil {
			return fmt.Errorf("the request to %s: %w", r.what, err)
		}
	}
	if err := d.Parts.check(); err != nil {
		return err
	}
	return d.H2.check()
}

// alpn is what the ClientHello offers.
func (l *Look) alpn(kind Kind) []string {
	s, err := l.spec(kind, false)
	if err != nil {
		return nil
	}
	for _, e := range s.Extensions {
		if a, ok := e.(*utls.ALPNExtension); ok {
			return a.AlpnProtocols
		}
	}
	return nil
}
