// Package link is what a user is handed: one line of text that holds the
// origin's public key, the user's own keys, and the fronts by which an edge is
// reached. Whoever holds a link can use the relay as its user, so it is a
// secret; only Explain's words may be shown.
package link

import (
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"strings"

	"culvert/internal/ech"
	"culvert/internal/seal"
)

// Scheme begins every link.
const Scheme = "culvert:"

// maxText is the longest link, in characters. A QR code of the largest size
// holds 4,296 of them (ISO/IEC 18004, version 40-L, alphanumeric mode).
const maxText = 4096

// maxFronts bounds the fronts of one link.
const maxFronts = 16

// Link is what a user is handed. Whoever makes one sets its fields, asks Validate
// whether they can be a link, and hands out String or QR. Whoever is handed one
// gets it from Parse and does not change it; several goroutines may read it.
type Link struct {
	Keys      seal.ClientKeys
	Fronts    []Front    // 1 to maxFronts, in the order in which to try them
	Resolvers []Resolver // up to maxResolvers, in the order in which to ask them
}

// encoding has letters and digits only: no messenger ends a link within it, no
// keyboard's capital breaks it, and in upper case it is the alphanumeric mode
// of QR codes, where it costs 11/2 bits for 5 bits of a link; base64url needs
// the byte mode, 8 bits for 6.
var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// ErrCut is Parse's for the beginning of a link: more text may make a link of it.
var ErrCut = errors.New("the link is cut off")

// Errors of Parse for a text that was damaged on its way.
var (
	errNoLink  = fmt.Errorf("this is no link: one starts with %s and is one line", Scheme)
	errTooLong = fmt.Errorf("this is no link: one has at most %d characters", maxText)
	errChar    = errors.New("the link has a character that no link has: copy it again, whole and alone")
	errChanged = errors.New("the link was changed on its way (its checksum is wrong): copy it again, do not type it")
	errRules   = errors.New("the link breaks the rules for links: ask whoever gave it to you for a new one")
)

// String is the one spelling of l, in lower case: Scheme, then letters and the
// digits 2 to 7. It holds secrets. It is empty if Validate refuses l.
func (l *Link) String() string {
	b, err := l.encode()
	if err != nil {
		return ""
	}
	return Scheme + strings.ToLower(encoding.EncodeToString(b))
}

// QR is String in upper case, which Parse reads as well and a QR code holds in
// two thirds of the bits.
func (l *Link) QR() string { return strings.ToUpper(l.String()) }

// LogValue keeps a link that is logged by mistake out of the log.
func (l *Link) LogValue() slog.Value { return slog.StringValue("link withheld") }

// Validate says why l cannot be a link, or nil.
func (l *Link) Validate() error {
	_, err := l.encode()
	return err
}

// Parse reads a link. Upper and lower case are the same; nothing else may
// differ from what String wrote, white space around it included. Every error
// is meant for the user: it says what to try next, and quotes nothing.
func Parse(s string) (*Link, error) {
	text, err := bodyText(s)
	if err != nil {
		return nil, err
	}
	b, err := encoding.DecodeString(text)
	if err != nil || encoding.EncodeToString(b) != text {
		return nil, errChanged
	}
	end := len(b) - checksumLen
	if binary.BigEndian.Uint32(b[end:]) != crc32.ChecksumIEEE(b[:end]) {
		return nil, errChanged
	}
	l, err := decode(b[:end])
	if err != nil {
		return nil, err
	}
	if l.QR() != strings.ToUpper(Scheme)+text {
		return nil, errRules
	}
	return l, nil
}

// bodyText is what follows the scheme, in upper case and of the length that
// it says itself, so that it is neither cut off nor has a tail.
func bodyText(s string) (string, error) {
	if len(s) > maxText {
		return "", errTooLong
	}
	if len(s) < len(Scheme) || !strings.EqualFold(s[:len(Scheme)], Scheme) {
		return "", errNoLink
	}
	text, ok := upper(s[len(Scheme):])
	if !ok {
		return "", errChar
	}
	if len(text) < 8 {
		return "", fmt.Errorf("%w right after its start: copy it whole", ErrCut)
	}
	head, err := encoding.DecodeString(text[:8])
	if err != nil {
		return "", errChanged
	}
	return text, checkHead(head, len(text))
}

// checkHead judges version and length, in a text of n characters.
func checkHead(head []byte, n int) error {
	if head[0] != version && head[0] != versionECH {
		return fmt.Errorf("the link is of version %d, and this program reads version %d: "+
			"get the current culvert, and copy the link again", head[0], versionECH)
	}
	size := int(binary.BigEndian.Uint16(head[1:]))
	want := encoding.EncodedLen(size)
	switch {
	case size < minBody || size > maxBody:
		return errChanged
	case n < want:
		return fmt.Errorf("%w: %d of its %d characters are here; copy it whole",
			ErrCut, len(Scheme)+n, len(Scheme)+want)
	case n > want:
		return fmt.Errorf("the link is %d characters too long, something was pasted behind it: copy it alone", n-want)
	}
	return nil
}

// upper is s in capitals, and false if a character is not of the encoding.
func upper(s string) (string, bool) {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		} else if (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return "", false
		}
	}
	return string(b), true
}

// Explain says what is in l, without the user's keys: a line each time that say is called, which is as fmt.Printf. What it
// says still names the fronts, so it is nothing to publish.
func (l *Link) Explain(say func(format string, args ...any)) {
	say("A link of version %d, %d characters long, for user %d.", versionOf(l.Fronts), len(l.String()), l.Keys.User)
	say("The origin's public key starts with %x.", l.Keys.Origin[:8])
	for i, f := range l.Fronts {
		say("")
		say("Front %d of %d: %s", i+1, len(l.Fronts), f.URL())
		f.explain(say)
	}
	for i, r := range l.Resolvers {
		say("")
		say("Resolver %d of %d: %s", i+1, len(l.Resolvers), r.URL())
		r.explain(say)
	}
	say("")
	say("The user's keys are in the link and not shown: whoever holds the link is this user.")
}

func (f Front) explain(say func(format string, args ...any)) {
	sni := f.ServerName()
	if sni == "" {
		sni = "no name"
	}
	say("  dials     %s", strings.Join(f.Addrs(), ", "))
	say("  SNI       %s", sni)
	say("  Host      %s", f.Host)
	say("  verifies  %s, %s", f.VerifyName(), f.trust())
	for _, p := range f.Pins {
		say("  pin       %s", p)
	}
	if f.Gateway {
		say("  door      gateway")
	}
	if f.Look != "" {
		say("  look      %s", f.Look)
	}
	if f.NoVisit {
		say("  visit     no")
	}
	if c, err := ech.Parse(f.ECH); err == nil {
		say("  ECH       shows %s", c.PublicName())
	}
}

func (f Front) trust() string {
	if len(f.Pins) > 0 {
		return "by a pin"
	}
	return "by a public CA"
}
