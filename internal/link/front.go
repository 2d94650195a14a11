package link

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"culvert/internal/ech"
	"culvert/internal/wire"
)

// Limits of one front: they keep a link of several fronts within a QR code.
const (
	maxDial = 8   // addresses to dial
	maxPins = 4   // pins
	maxPath = 255 // bytes of the path, whose length is written as one byte
)

const (
	defaultPort = 443
	defaultPath = wire.DoorPath
)

// Front is how an edge is reached: where to connect, which name to send in the
// ClientHello, whose certificate to accept and which host to ask for may all
// differ. A field that is left empty follows from Host; Addrs, ServerName and
// VerifyName say what holds then. Fronts of a Link and of ParseFront are valid,
// and spelled the one way that String spells them.
type Front struct {
	Host    string   // the HTTP Host header: host or host:port; the port is 443 unless given
	Path    string   // what to ask for, with a query if any: starts with "/"
	Dial    []string // host:port each, in the order in which to try them; empty means Host's
	SNI     string   // the name in the ClientHello; empty means Host's, or none if NoSNI or if Host is an IP address
	NoSNI   bool     // send no name in the ClientHello
	Verify  string   // the name or IP address that the certificate must be valid for; empty means SNI's, else Host's
	Pins    []Pin    // if any, one must match a certificate of the chain, which then need not lead to a public CA
	Gateway bool     // it leads to the gateway door, which takes text, and not to the stream door
	Look    string   // the browser that connections look like; empty, or not known to the client: the client chooses
	NoVisit bool     // the client does not ask for its page, as a browser would, before it asks for a WebSocket
	ECH     []byte   // one configuration, as an ECHConfigList, by which the name in the ClientHello is encrypted, or else not sent; empty: none is asked for
}

// URL is what to hand to a WebSocket dialer: wss, Host and Path.
func (f Front) URL() string { return "wss://" + f.Host + f.Path }

// Addrs are the host:port addresses to dial, in the order in which to try
// them. The caller must not change them.
func (f Front) Addrs() []string {
	if len(f.Dial) > 0 {
		return f.Dial
	}
	return []string{f.at().String()}
}

// ServerName is the name to send in the ClientHello, or "" for none: an IP
// address is never sent (RFC 6066, section 3).
func (f Front) ServerName() string {
	if host := f.at().host; f.SNI == "" && !f.NoSNI && !isIP(host) {
		return host
	}
	return f.SNI
}

// VerifyName is the name or IP address that the certificate must be valid for.
func (f Front) VerifyName() string {
	if f.Verify != "" {
		return f.Verify
	}
	if name := f.ServerName(); name != "" {
		return name
	}
	return f.at().host
}

// at is Host and its port.
func (f Front) at() address {
	at, err := parseAddress(f.Host, defaultPort)
	if err != nil {
		return address{f.Host, defaultPort}
	}
	return at
}

// clean is the one form of f, in which nothing is said that follows from Host,
// or what is wrong with f. It shares nothing with f that is changed.
func (f Front) clean() (Front, error) {
	at, err := parseAddress(f.Host, defaultPort)
	if err != nil {
		return f, fmt.Errorf("host: %w", err)
	}
	f.Host = at.short(defaultPort)
	if f.Path, err = cleanPath(f.Path); err != nil {
		return f, fmt.Errorf("path: %w", err)
	}
	if f.Dial, err = cleanDial(f.Dial, at); err != nil {
		return f, fmt.Errorf("dial: %w", err)
	}
	if err = f.cleanSNI(at.host); err != nil {
		return f, fmt.Errorf("sni: %w", err)
	}
	if err = f.cleanVerify(); err != nil {
		return f, fmt.Errorf("verify: %w", err)
	}
	if f.Pins, err = cleanPins(f.Pins); err != nil {
		return f, fmt.Errorf("pin: %w", err)
	}
	f.NoVisit = f.NoVisit && !f.Gateway // API Gateway has no page
	if err = f.cleanECH(); err != nil {
		return f, fmt.Errorf("ech: %w", err)
	}
	return f, f.cleanLook()
}

// cleanECH leaves the one configuration that is used.
func (f *Front) cleanECH() error {
	if len(f.ECH) == 0 {
		f.ECH = nil
		return nil
	}
	if f.ServerName() == "" {
		return errors.New("the front sends no name to encrypt: leave ech out, or give sni=NAME")
	}
	c, err := ech.Parse(f.ECH)
	if err != nil {
		return errECH
	}
	f.ECH = c.List()
	return nil
}

// errECH is for what is no list of configurations, or for one without any that clients can use.
var errECH = errors.New("copy it whole from the name's HTTPS record: this is no ECH configuration that can be used")

// autoLook is the look option's word for what no option means.
const autoLook = "auto"

// noVisitMark stands before the look, in bytes, of a front whose page is not to be asked for: clients that know no
// visits take it for a look that they do not know.
const noVisitMark = "0"

// maxLook bounds the name of a look, in bytes.
const maxLook = 16

var errLook = errors.New("it is the name of a browser in small letters, such as chromium or firefox, or auto")

func (f *Front) cleanLook() error {
	if f.Look == autoLook {
		f.Look = ""
	}
	other := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }
	if len(f.Look) > maxLook || strings.HasPrefix(f.Look, noVisitMark) || strings.ContainsFunc(f.Look, other) {
		return fmt.Errorf("look: %w", errLook)
	}
	return nil
}

// cleanDial is the one form of dial, which is nil if Host says the same.
func cleanDial(dial []string, at address) ([]string, error) {
	if len(dial) > maxDial {
		return nil, fmt.Errorf("a front has at most %d addresses to dial", maxDial)
	}
	var clean []string
	seen := make(map[string]bool)
	for _, s := range dial {
		a, err := parseAddress(s, at.port)
		if err != nil {
			return nil, err
		}
		if seen[a.String()] {
			return nil, errors.New("the same address twice: leave one out")
		}
		seen[a.String()] = true
		clean = append(clean, a.String())
	}
	if len(clean) == 1 && clean[0] == at.String() {
		return nil, nil
	}
	return clean, nil
}

// addresses reads addresses that cleanDial has checked.
func addresses(dial []string, port uint16) (list []address) {
	for _, s := range dial {
		if a, err := parseAddress(s, port); err == nil {
			list = append(list, a)
		}
	}
	return list
}

func (f *Front) cleanSNI(host string) error {
	if f.NoSNI = f.NoSNI && !(isIP(host) && f.SNI == ""); f.NoSNI && f.SNI != "" {
		return errors.New("either a name or none")
	}
	if f.SNI == "" {
		return nil
	}
	name, err := cleanName(f.SNI)
	if name == noName || isIP(f.SNI) {
		return errors.New("give a host name: an IP address cannot be sent; sni=none sends nothing")
	}
	if f.SNI = name; name == host {
		f.SNI = ""
	}
	return err
}

func (f *Front) cleanVerify() error {
	if f.Verify == "" {
		return nil
	}
	name, err := cleanHost(f.Verify)
	if err != nil {
		return err
	}
	f.Verify = ""
	if name != f.VerifyName() {
		f.Verify = name
	}
	return nil
}

func cleanPins(pins []Pin) ([]Pin, error) {
	if len(pins) == 0 {
		return nil, nil
	}
	if len(pins) > maxPins {
		return nil, fmt.Errorf("a front has at most %d pins", maxPins)
	}
	seen := make(map[Pin]bool)
	for _, p := range pins {
		if seen[p] {
			return nil, errors.New("the same pin twice: leave one out")
		}
		seen[p] = true
	}
	return pins, nil
}

// Pin is the SHA-256 of a certificate's SubjectPublicKeyInfo (as in RFC 7469,
// section 2.4). It stays the same when a certificate is renewed for its key.
type Pin [sha256.Size]byte

// PinOf is the pin of cert.
func PinOf(cert *x509.Certificate) Pin { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

// PinPEM is the pin of the first certificate in a PEM file, where the server's
// own stands.
func PinPEM(file []byte) (Pin, error) {
	for {
		var block *pem.Block
		if block, file = pem.Decode(file); block == nil {
			return Pin{}, errors.New("no certificate in it: a PEM file with BEGIN CERTIFICATE is needed")
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return Pin{}, fmt.Errorf("read certificate: %w", err)
		}
		return PinOf(cert), nil
	}
}

// String is 64 lower-case hexadecimal digits.
func (p Pin) String() string { return hex.EncodeToString(p[:]) }

func parsePin(s string) (p Pin, err error) {
	if n, err := hex.Decode(p[:], []byte(s[:min(len(s), 2*len(p))])); err != nil || n != len(p) || len(s) != 2*len(p) {
		return Pin{}, errors.New("a pin is 64 hexadecimal digits: the SHA-256 of the certificate's public key")
	}
	return p, nil
}
