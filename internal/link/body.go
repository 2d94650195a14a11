package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"slices"
	"strings"

	"culvert/internal/ech"
	"culvert/internal/seal"
)

// version is the layout that this package writes and reads:
//
//	 0  version   1  2 if a front has an ECH configuration, which older clients must not leave out; else 1
//	 1  length    2  of all of this, checksum included
//	 3  origin   32  X25519 public key
//	35  private  32  X25519 private key of the user
//	67  token    16  key of the user's tokens
//	83  user    1-5  number, as an unsigned varint of the shortest form
//	    count     1  of fronts; 128 more if doors follow, 64 more if resolvers do, 32 more if looks do
//	    doors     2  bit 0 for the first front, and so on: it leads to the gateway door
//	    fronts       see below
//	    count     1  of resolvers, if there are some
//	    resolvers    each as a front
//	    looks        of each front and then of each resolver: length 1, name; of a front that is not visited, 0 and the name
//	    ech          of each front, in version 2 alone: length 2, ECHConfigList
//	    checksum  4  CRC-32 (IEEE) of all before it
//
// A front is a byte of flags and what they announce, in this order:
//
//	host      address
//	port      2  flagPort: not 443
//	path      length 1, bytes: flagPath: not "/"
//	dial      count 1, addresses: flagDial; each with its port, 2, if
//	          flagDialPorts: one of them is not the host's
//	sni       name: flagSNI: not the host's
//	verify    address: flagVerify: not what follows from SNI and host
//	pins      count 1, 32 bytes each: flagPins
//
// An address is the length of a name and the name, or addrIPv4 and 4 bytes, or
// addrIPv6 and 16 bytes. All numbers but the varint are big-endian.
const (
	version    = 1
	versionECH = 2
)

const (
	flagPort = 1 << iota
	flagPath
	flagDial
	flagDialPorts
	flagSNI
	flagNoSNI // no name in the ClientHello, though the host has one
	flagVerify
	flagPins
)

const (
	addrIPv4 = 254 // names are at most 253 bytes long
	addrIPv6 = 255
)

const (
	checksumLen = 4
	minBody     = 83 + 1 + 1 + checksumLen
	maxBody     = (maxText - len(Scheme)) * 5 / 8
)

// encode is l in bytes, or says why l cannot be a link.
func (l *Link) encode() ([]byte, error) {
	fronts, err := cleanFronts(l.Fronts)
	if err != nil {
		return nil, err
	}
	resolvers, err := cleanResolvers(l.Resolvers)
	if err != nil {
		return nil, err
	}
	if l.Keys.Origin == (seal.PublicKey{}) {
		return nil, errors.New("the link lacks the origin's key")
	}
	b := []byte{versionOf(fronts), 0, 0}
	b = append(b, l.Keys.Origin[:]...)
	b = append(b, l.Keys.Private[:]...)
	b = append(b, l.Keys.Token[:]...)
	b = binary.AppendUvarint(b, uint64(l.Keys.User))
	looks := looksOf(fronts, resolvers)
	b = appendCount(b, fronts, len(resolvers) > 0, len(looks) > 0)
	for _, f := range fronts {
		b = appendFront(b, f)
	}
	return finish(slices.Concat(appendResolvers(b, resolvers), looks, configsOf(fronts)))
}

// What is added to the count of fronts when more follows.
const (
	countDoors     = 128
	countResolvers = 64
	countLooks     = 32
)

// looksOf is how the looks are written of fronts and resolvers; nil: none has one.
func looksOf(fronts []Front, resolvers []Resolver) (b []byte) {
	has := false
	for _, f := range fronts {
		look := f.Look
		if f.NoVisit {
			look = noVisitMark + look
		}
		has = has || look != ""
		b = append(append(b, byte(len(look))), look...)
	}
	for _, r := range resolvers {
		has = has || r.Look != ""
		b = append(append(b, byte(len(r.Look))), r.Look...)
	}
	if !has {
		return nil
	}
	return b
}

// versionOf is the layout of a link that has fronts.
func versionOf(fronts []Front) byte {
	if slices.ContainsFunc(fronts, Front.encrypts) {
		return versionECH
	}
	return version
}

func (f Front) encrypts() bool { return len(f.ECH) > 0 }

// configsOf is how the ECH configurations are written of fronts; nil: none has one.
func configsOf(fronts []Front) (b []byte) {
	if !slices.ContainsFunc(fronts, Front.encrypts) {
		return nil
	}
	for _, f := range fronts {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(f.ECH))), f.ECH...)
	}
	return b
}

func appendCount(b []byte, fronts []Front, resolvers, looks bool) []byte {
	var doors uint16
	for i, f := range fronts {
		if f.Gateway {
			doors |= 1 << i
		}
	}
	count := byte(len(fronts))
	if resolvers {
		count += countResolvers
	}
	if looks {
		count += countLooks
	}
	if doors == 0 {
		return append(b, count)
	}
	return binary.BigEndian.AppendUint16(append(b, count+countDoors), doors)
}

func appendResolvers(b []byte, resolvers []Resolver) []byte {
	if len(resolvers) > 0 {
		b = append(b, byte(len(resolvers)))
	}
	for _, r := range resolvers {
		b = appendFront(b, r.Front)
	}
	return b
}

// finish sets the length and adds the checksum.
func finish(b []byte) ([]byte, error) {
	size := len(b) + checksumLen
	if size > maxBody {
		return nil, fmt.Errorf("the link is too long for a QR code (%d bytes, at most %d): give it fewer fronts, "+
			"pins or addresses", size, maxBody)
	}
	binary.BigEndian.PutUint16(b[1:], uint16(size))
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b)), nil
}

// cleanFronts is the one form of fronts, or what is wrong with them.
func cleanFronts(fronts []Front) ([]Front, error) {
	if len(fronts) == 0 || len(fronts) > maxFronts {
		return nil, fmt.Errorf("a link has 1 to %d fronts, not %d", maxFronts, len(fronts))
	}
	return cleanEach(fronts)
}

// cleanEach is cleanFronts of any number of them.
func cleanEach(fronts []Front) ([]Front, error) {
	clean := make([]Front, len(fronts))
	seen := make(map[string]int)
	for i, f := range fronts {
		c, err := f.clean()
		if err != nil {
			return nil, fmt.Errorf("front %d: %w", i+1, err)
		}
		if first := seen[c.String()]; first > 0 {
			return nil, fmt.Errorf("front %d is the same as front %d: leave one out", i+1, first)
		}
		clean[i], seen[c.String()] = c, i+1
	}
	return clean, nil
}

// appendFront writes f, which is clean.
func appendFront(b []byte, f Front) []byte {
	w := frontWriter{append(b, 0), len(b)}
	at := f.at()
	w.place(at, f.Path)
	w.dial(f.Dial, at.port)
	w.names(f)
	w.pins(f.Pins)
	return w.b
}

// frontWriter appends a front to b, whose flags stand at b[flags].
type frontWriter struct {
	b     []byte
	flags int
}

// announce sets flag when there is something to write, and returns when.
func (w *frontWriter) announce(flag byte, when bool) bool {
	if when {
		w.b[w.flags] |= flag
	}
	return when
}

func (w *frontWriter) place(at address, path string) {
	w.b = appendHost(w.b, at.host)
	if w.announce(flagPort, at.port != defaultPort) {
		w.b = binary.BigEndian.AppendUint16(w.b, at.port)
	}
	if w.announce(flagPath, path != defaultPath) {
		w.b = append(append(w.b, byte(len(path))), path...)
	}
}

func (w *frontWriter) dial(dial []string, port uint16) {
	if !w.announce(flagDial, len(dial) > 0) {
		return
	}
	list := addresses(dial, port)
	ports := w.announce(flagDialPorts, slices.ContainsFunc(list, func(a address) bool { return a.port != port }))
	w.b = append(w.b, byte(len(list)))
	for _, a := range list {
		w.b = appendHost(w.b, a.host)
		if ports {
			w.b = binary.BigEndian.AppendUint16(w.b, a.port)
		}
	}
}

func (w *frontWriter) names(f Front) {
	if w.announce(flagSNI, f.SNI != "") {
		w.b = appendHost(w.b, f.SNI)
	}
	w.announce(flagNoSNI, f.NoSNI)
	if w.announce(flagVerify, f.Verify != "") {
		w.b = appendHost(w.b, f.Verify)
	}
}

func (w *frontWriter) pins(pins []Pin) {
	if !w.announce(flagPins, len(pins) > 0) {
		return
	}
	w.b = append(w.b, byte(len(pins)))
	for _, p := range pins {
		w.b = append(w.b, p[:]...)
	}
}

func appendHost(b []byte, host string) []byte {
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		b = append(b, byte(len(host)))
		return append(b, host...)
	case ip.Is4():
		b = append(b, addrIPv4)
	default:
		b = append(b, addrIPv6)
	}
	return append(b, ip.AsSlice()...)
}

// cursor reads from the front of a body. After the first lack of bytes it is
// spent: everything reads as zero.
type cursor struct {
	b     []byte
	spent bool
}

// next is the next n bytes, an alias of the body, or zeros if there are not so
// many.
func (c *cursor) next(n int) []byte {
	if c.spent || n > len(c.b) {
		c.spent = true
		return make([]byte, n)
	}
	p := c.b[:n]
	c.b = c.b[n:]
	return p
}

func (c *cursor) byte() byte     { return c.next(1)[0] }
func (c *cursor) port() uint16   { return binary.BigEndian.Uint16(c.next(2)) }
func (c *cursor) text() string   { return string(c.next(int(c.byte()))) }
func (c *cursor) finished() bool { return !c.spent && len(c.b) == 0 }

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.b)
	c.next(max(n, 0))
	c.spent = c.spent || n <= 0
	return v
}

func (c *cursor) host() string {
	switch n := c.byte(); n {
	case addrIPv4:
		return netip.AddrFrom4([4]byte(c.next(4))).String()
	case addrIPv6:
		return netip.AddrFrom16([16]byte(c.next(16))).String()
	default:
		return string(c.next(int(n)))
	}
}

// decode reads a body without its checksum. It does not see whether the body
// is the one form of what it returns; Parse does.
func decode(b []byte) (*Link, error) {
	c := &cursor{b: b[3:]}
	l := &Link{}
	copy(l.Keys.Origin[:], c.next(32))
	copy(l.Keys.Private[:], c.next(32))
	copy(l.Keys.Token[:], c.next(16))
	l.Keys.User = uint32(c.uvarint())
	n, doors, more, looks := c.count()
	if n > maxFronts {
		return nil, errRules
	}
	for i := range n {
		f := c.front()
		f.Gateway = doors>>i&1 == 1
		l.Fronts = append(l.Fronts, f)
	}
	if more {
		l.Resolvers = c.resolvers()
	}
	if looks {
		c.looks(l.Fronts)
		for i := range l.Resolvers {
			l.Resolvers[i].Look = c.text()
		}
	}
	if b[0] == versionECH {
		c.configs(l.Fronts)
	}
	if !c.finished() {
		return nil, errRules
	}
	return l, nil
}

// configs reads the ECH configurations of fronts.
func (c *cursor) configs(of []Front) {
	for i := range of {
		if n := int(binary.BigEndian.Uint16(c.next(2))); n > 0 {
			of[i].ECH = slices.Clone(c.next(min(n, ech.MaxList)))
		}
	}
}

// looks reads those of fronts.
func (c *cursor) looks(of []Front) {
	for i := range of {
		of[i].Look, of[i].NoVisit = strings.CutPrefix(c.text(), noVisitMark)
	}
}

// count is how many fronts there are, which lead to the gateway door, and whether
// resolvers and looks follow them.
func (c *cursor) count() (n int, doors uint16, resolvers, looks bool) {
	count := c.byte()
	if count&countDoors != 0 {
		doors = binary.BigEndian.Uint16(c.next(2))
	}
	return int(count &^ (countDoors | countResolvers | countLooks)), doors, count&countResolvers != 0, count&countLooks != 0
}

// resolvers are as many as there may be, and one more if there are too many.
func (c *cursor) resolvers() (all []Resolver) {
	for range min(int(c.byte()), maxResolvers+1) {
		all = append(all, Resolver{c.front()})
	}
	return all
}

func (c *cursor) front() Front {
	flags := c.byte()
	has := func(flag byte) bool { return flags&flag != 0 }
	at := address{c.host(), defaultPort}
	f := Front{Path: defaultPath, NoSNI: has(flagNoSNI)}
	if has(flagPort) {
		at.port = c.port()
	}
	if has(flagPath) {
		f.Path = c.text()
	}
	if has(flagDial) {
		f.Dial = c.dial(at.port, has(flagDialPorts))
	}
	if has(flagSNI) {
		f.SNI = c.host()
	}
	if has(flagVerify) {
		f.Verify = c.host()
	}
	if has(flagPins) {
		f.Pins = c.pins()
	}
	f.Host = at.short(defaultPort)
	return f
}

func (c *cursor) dial(port uint16, ports bool) (dial []string) {
	for range min(int(c.byte()), maxDial+1) {
		host := c.host()
		if ports {
			port = c.port()
		}
		dial = append(dial, address{host, port}.String())
	}
	return dial
}

func (c *cursor) pins() (pins []Pin) {
	for range min(int(c.byte()), maxPins+1) {
		pins = append(pins, Pin(c.next(len(Pin{}))))
	}
	return pins
}
