package link

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// listFormat is the layout of a List that this package writes and reads:
//
//	 0  format    1  2 if a front has an ECH configuration, else 1
//	 1  origin    8  the first bytes of the key that the link has of the origin
//	 9  version   4  seconds of Unix time when it was made, or one more than the last: it only grows
//	13  expires   4  seconds of Unix time
//	17  count     1  of fronts; 128 more if doors follow, 32 more if looks do
//	    doors     2  and the fronts, each as in a link, in the order in which to try them
//	    looks        of each front: length 1, and the name of a browser, with 0 before it if the front is not visited
//	    ech          of each front, in format 2 alone: length 2, ECHConfigList
//	    count     1  of what is withdrawn
//	    withdrawn 8  each: SHA-256 of `culvert front ` and a front's one spelling, or its Host alone, cut
//	    signature 64 XEdDSA (R, s) over `culvert 2 fronts` and all before it
const (
	listFormat    = 1
	listFormatECH = 2
)

const (
	listLabel      = "culvert 2 fronts"
	withdrawnLabel = "culvert front "
	listHead       = 17
	maxWithdrawn   = 64
)

// ListScheme begins a list that is written as text.
const ListScheme = "culvert-fronts:"

var listText = base64.RawURLEncoding.Strict()

// List is the fronts that an origin tells a user of who has a link already. Whoever makes one sets its
// fields and calls Sign; whoever is handed one gets it from ParseList and does not change it.
type List struct {
	Version   uint32    // of two lists the one with the higher version holds
	Expires   time.Time // when it stops to hold; whole seconds
	Fronts    []Front   // up to maxFronts, in the order in which to try them
	Withdrawn []Withdrawal
}

// Withdrawal names a front that is not to be used any more, or all of a host's, for those alone who
// know it.
type Withdrawal [8]byte

// Withdrawal is that of f alone.
func (f Front) Withdrawal() Withdrawal { return withdrawal(f.String()) }

// WithdrawalOf is that of all fronts with a Host, which is spelled as Front.Host is.
func WithdrawalOf(host string) Withdrawal { return withdrawal(host) }

func withdrawal(of string) Withdrawal {
	sum := sha256.Sum256([]byte(withdrawnLabel + of))
	return Withdrawal(sum[:])
}

// ParseWithdrawal reads a front, or a host with or without a port.
func ParseWithdrawal(s string) (Withdrawal, error) {
	if strings.HasPrefix(s, frontScheme) {
		f, err := ParseFront(s)
		return f.Withdrawal(), err
	}
	at, err := parseAddress(s, defaultPort)
	if err != nil {
		return Withdrawal{}, fmt.Errorf("write what is withdrawn as HOST or as a whole front: %w", err)
	}
	return WithdrawalOf(at.short(defaultPort)), nil
}

// Withdraws reports whether f is not to be used any more.
func (l *List) Withdraws(f Front) bool {
	return slices.Contains(l.Withdrawn, f.Withdrawal()) || slices.Contains(l.Withdrawn, WithdrawalOf(f.Host))
}

// Made is when the list was made, about.
func (l *List) Made() time.Time { return time.Unix(int64(l.Version), 0) }

// Errors of ParseList. Each means that nothing of the list holds.
var (
	errListNewer   = errors.New("the list of fronts is of a newer version of culvert")
	errListOther   = errors.New("the list of fronts is for another origin")
	errListForged  = errors.New("the list of fronts was cut or changed, or somebody else has made it")
	errListRules   = errors.New("the list of fronts breaks the rules for lists")
	errListTooLong = fmt.Errorf("the list of fronts is longer than %d bytes", wire.MaxFronts)
)

// Sign is l as m's links verify it, or says what is wrong with it.
func (l *List) Sign(m seal.Master) ([]byte, error) {
	key := m.PublicKey()
	b, err := l.encode(key)
	if err != nil {
		return nil, err
	}
	if size := len(b) + seal.SignatureLen; size > wire.MaxFronts {
		return nil, fmt.Errorf("the list is too long (%d bytes, at most %d): give it fewer fronts, pins or addresses", size, wire.MaxFronts)
	}
	return append(b, m.Sign(listLabel, b)...), nil
}

// encode is l without its signature.
func (l *List) encode(key seal.PublicKey) ([]byte, error) {
	fronts, err := cleanEach(l.Fronts)
	switch {
	case err != nil:
		return nil, err
	case len(fronts) > maxFronts:
		return nil, fmt.Errorf("a list has at most %d fronts", maxFronts)
	case len(l.Withdrawn) > maxWithdrawn:
		return nil, fmt.Errorf("a list withdraws at most %d fronts", maxWithdrawn)
	case l.Version == 0 || l.Expires.Unix() <= 0 || l.Expires.Unix() >= 1<<32:
		return nil, errors.New("a list has a version and a time when it expires, before 2106")
	}
	if i := slices.IndexFunc(fronts, l.Withdraws); i >= 0 {
		return nil, fmt.Errorf("front %d is withdrawn as well: leave one out", i+1)
	}
	b := append([]byte{listFormat}, key[:8]...)
	b = binary.BigEndian.AppendUint32(b, l.Version)
	b = binary.BigEndian.AppendUint32(b, uint32(l.Expires.Unix()))
	looks := looksOf(fronts, nil)
	b = appendCount(b, fronts, false, len(looks) > 0)
	for _, f := range fronts {
		b = appendFront(b, f)
	}
	configs := configsOf(fronts)
	if len(configs) > 0 {
		b[0] = listFormatECH
	}
	b = slices.Concat(b, looks, configs)
	gone := slices.Clone(l.Withdrawn)
	slices.SortFunc(gone, compareWithdrawals)
	gone = slices.Compact(gone)
	b = append(b, byte(len(gone)))
	for _, w := range gone {
		b = append(b, w[:]...)
	}
	return b, nil
}

func compareWithdrawals(a, b Withdrawal) int { return bytes.Compare(a[:], b[:]) }

// ParseList reads what the origin with that key has signed. The error says why nothing of b holds, and
// quotes nothing of it.
func ParseList(b []byte, origin seal.PublicKey) (*List, error) {
	switch {
	case len(b) > wire.MaxFronts:
		return nil, errListTooLong
	case len(b) < listHead+2+seal.SignatureLen:
		return nil, errListForged
	case b[0] > listFormatECH:
		return nil, errListNewer
	case b[0] < listFormat:
		return nil, errListForged
	case !bytes.Equal(b[1:9], origin[:8]):
		return nil, errListOther
	}
	body, sig := b[:len(b)-seal.SignatureLen], b[len(b)-seal.SignatureLen:]
	if !origin.Verify(listLabel, body, sig) {
		return nil, errListForged
	}
	return parseSigned(body, origin)
}

// parseSigned reads a list without its signature.
func parseSigned(body []byte, origin seal.PublicKey) (*List, error) {
	c := &cursor{b: body[9:]}
	l := &List{Version: c.uint32(), Expires: time.Unix(int64(c.uint32()), 0)}
	n, doors, more, looks := c.count()
	if n > maxFronts || more {
		return nil, errListRules
	}
	for i := range n {
		f := c.front()
		f.Gateway = doors>>i&1 == 1
		l.Fronts = append(l.Fronts, f)
	}
	if looks {
		c.looks(l.Fronts)
	}
	if body[0] == listFormatECH {
		c.configs(l.Fronts)
	}
	for range c.byte() {
		l.Withdrawn = append(l.Withdrawn, Withdrawal(c.next(len(Withdrawal{}))))
	}
	if again, err := l.encode(origin); err != nil || !c.finished() || !bytes.Equal(again, body) {
		return nil, errListRules
	}
	return l, nil
}

func (c *cursor) uint32() uint32 { return binary.BigEndian.Uint32(c.next(4)) }

// ListText is a signed list as a line of text.
func ListText(signed []byte) string { return ListScheme + listText.EncodeToString(signed) }

// parseListText reads what ListText wrote, signed or not.
func parseListText(s string) ([]byte, error) {
	text, ok := strings.CutPrefix(s, ListScheme)
	if !ok || len(text) > listText.EncodedLen(wire.MaxFronts) {
		return nil, errListForged
	}
	b, err := listText.DecodeString(text)
	if err != nil {
		return nil, errListForged
	}
	return b, nil
}
