package link

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// noName is the sni option's word for sending no name.
const noName = "none"

// The door option's words; the first is what no option means.
const (
	streamDoor  = "stream"
	gatewayDoor = "gateway"
)

const frontScheme = "wss://"

// echText is how DNS writes the ech of an HTTPS record (RFC 9848).
var echText = base64.StdEncoding.Strict()

// maxFront bounds a front's spelling, in bytes: more than all of its fields at
// their longest.
const maxFront = 8 << 10

// noVisit is the visit option's word for none.
const noVisit = "no"

// String is the one spelling of f that ParseFront reads back:
// wss://HOST:PORT/PATH, then ;dial= once for each address, ;sni=, ;verify= and
// ;pin= once for each pin, each only if it does not follow from the host, and
// ;door=gateway, ;look=, ;visit=no and ;ech=.
func (f Front) String() string { return f.URL() + f.options() }

// options is what follows the URL.
func (f Front) options() string {
	var b strings.Builder
	for _, d := range f.Dial {
		b.WriteString(";dial=" + d)
	}
	if f.SNI != "" {
		b.WriteString(";sni=" + f.SNI)
	}
	if f.NoSNI {
		b.WriteString(";sni=" + noName)
	}
	if f.Verify != "" {
		b.WriteString(";verify=" + f.Verify)
	}
	for _, p := range f.Pins {
		b.WriteString(";pin=" + p.String())
	}
	if f.Gateway {
		b.WriteString(";door=" + gatewayDoor)
	}
	if f.Look != "" {
		b.WriteString(";look=" + f.Look)
	}
	if f.NoVisit {
		b.WriteString(";visit=" + noVisit)
	}
	if len(f.ECH) > 0 {
		b.WriteString(";ech=" + echText.EncodeToString(f.ECH))
	}
	return b.String()
}

var errFront = errors.New("write it as wss://HOST/ or wss://HOST:PORT/PATH; nothing but wss is carried")

// ParseFront reads "wss://HOST:PORT/PATH;dial=ADDR;sni=NAME|none;host=NAME;
// verify=NAME;pin=HEX;door=stream|gateway;look=NAME|auto;visit=yes|no;ech=BASE64". Port and path may be missing, as may
// every option; dial and pin may be repeated. An address to dial without a port has the
// URL's. With host=NAME the URL's host is where to go (dial and sni, unless
// they are given), and NAME is asked for there. The result is in its one form;
// errors are for whoever wrote the front, and quote nothing of it.
func ParseFront(s string) (Front, error) {
	rest, ok := strings.CutPrefix(s, frontScheme)
	if !ok {
		return Front{}, fmt.Errorf("front: %w", errFront)
	}
	f, err := parseRest(rest)
	if err != nil {
		return Front{}, fmt.Errorf("front: %w", err)
	}
	return f, nil
}

// parseRest reads what follows the scheme.
func parseRest(rest string) (Front, error) {
	if len(rest) > maxFront {
		return Front{}, fmt.Errorf("longer than %d characters", maxFront)
	}
	f, err := parseOptions(rest)
	if err != nil {
		return Front{}, err
	}
	return f.clean()
}

func parseOptions(rest string) (Front, error) {
	url, options, more := strings.Cut(rest, ";")
	slash := strings.IndexByte(url, '/')
	if slash < 0 {
		slash = len(url)
	}
	at, err := parseAddress(url[:slash], defaultPort)
	if err != nil {
		return Front{}, err
	}
	r := frontReader{url: at, front: Front{Path: url[slash:]}}
	for more {
		var option string
		option, options, more = strings.Cut(options, ";")
		if err := r.option(option); err != nil {
			return Front{}, err
		}
	}
	return r.result(), nil
}

// frontReader collects a front's options.
type frontReader struct {
	url   address
	front Front
	seen  []string // options that may come only once
}

func (r *frontReader) option(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok || value == "" {
		return errors.New("an option is NAME=VALUE, and ; stands between two of them")
	}
	if err := r.once(name); err != nil {
		return err
	}
	f := &r.front
	switch name {
	case "dial":
		return r.dial(value)
	case "pin":
		return r.pin(value)
	case "host":
		f.Host = value
	case "verify":
		f.Verify = value
	case "door":
		return r.door(value)
	case "look":
		f.Look = value
	case "visit":
		if f.NoVisit = value == noVisit; !f.NoVisit && value != "yes" {
			return errors.New("visit: yes, or no to ask for no page of the front's")
		}
	case "ech":
		return r.ech(value)
	case "sni":
		if f.NoSNI = value == noName; !f.NoSNI {
			f.SNI = value
		}
	default:
		return errors.New("unknown option: there are dial, sni, host, verify, pin, door, look, visit and ech")
	}
	return nil
}

// once refuses the second of an option that would silently undo the first.
func (r *frontReader) once(name string) error {
	if name == "dial" || name == "pin" {
		return nil
	}
	if slices.Contains(r.seen, name) {
		return fmt.Errorf("%s is given twice", name)
	}
	r.seen = append(r.seen, name)
	return nil
}

func (r *frontReader) door(value string) error {
	r.front.Gateway = value == gatewayDoor
	if value != gatewayDoor && value != streamDoor {
		return errors.New("door is stream, as without it, or gateway, for API Gateway")
	}
	return nil
}

func (r *frontReader) dial(value string) error {
	a, err := parseAddress(value, r.url.port)
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	r.front.Dial = append(r.front.Dial, a.String())
	return nil
}

func (r *frontReader) pin(value string) error {
	p, err := parsePin(value)
	if err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	r.front.Pins = append(r.front.Pins, p)
	return nil
}

// ech reads what DNS has, also in the other alphabet of base64 and without padding.
func (r *frontReader) ech(value string) (err error) {
	text := strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(value)
	r.front.ECH, err = echText.WithPadding(base64.NoPadding).DecodeString(text)
	if err != nil {
		return fmt.Errorf("ech: %w", errECH)
	}
	return nil
}

// result fills in what the URL's host says beside host=.
func (r *frontReader) result() Front {
	f := r.front
	if f.Host == "" {
		f.Host = r.url.String()
		return f
	}
	if len(f.Dial) == 0 {
		f.Dial = []string{r.url.String()}
	}
	if f.SNI == "" && !f.NoSNI {
		if f.NoSNI = isIP(r.url.host); !f.NoSNI {
			f.SNI = r.url.host
		}
	}
	return f
}
