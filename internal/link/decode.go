package link

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
)

// cursor reads from the front of a body. After the first lack of bytes it is
// spent: everything reads as zero.
type cursor struct {
	b     []byte
	spent bool
}

// take aliases the body.
func (c *cursor) take(n int) []byte {
	if c.spent || n > len(c.b) {
		c.spent = true
		return make([]byte, n)
	}
	p := c.b[:n]
	c.b = c.b[n:]
	return p
}

func (c *cursor) byte() byte     { return c.take(1)[0] }
func (c *cursor) port() uint16   { return binary.BigEndian.Uint16(c.take(2)) }
func (c *cursor) text() string   { return string(c.take(int(c.byte()))) }
func (c *cursor) finished() bool { return !c.spent && len(c.b) == 0 }

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.b)
	c.take(max(n, 0))
	c.spent = c.spent || n <= 0
	return v
}

func (c *cursor) host() string {
	switch n := c.byte(); n {
	case addrIPv4:
		return netip.AddrFrom4([4]byte(c.take(4))).String()
	case addrIPv6:
		return netip.AddrFrom16([16]byte(c.take(16))).String()
	default:
		return string(c.take(int(n)))
	}
}

// decode reads a body without its checksum. It does not see whether the body
// is the one form of what it returns; Parse does.
func decode(b []byte) (*Link, error) {
	c := &cursor{b: b[3:]}
	l := &Link{}
	copy(l.Keys.Origin[:], c.take(32))
	copy(l.Keys.Private[:], c.take(32))
	copy(l.Keys.Token[:], c.take(16))
	l.Keys.User = uint32(c.uvarint())
	n, doors := c.count()
	if n > MaxFronts {
		return nil, errRules
	}
	for i := range n {
		f := c.front()
		f.Gateway = doors>>i&1 == 1
		l.Fronts = append(l.Fronts, f)
	}
	if !c.finished() {
		return nil, errRules
	}
	return l, nil
}

// count is how many fronts there are, and which lead to the gateway door.
func (c *cursor) count() (n int, doors uint16) {
	n = int(c.byte())
	if n >= countDoors {
		return n - countDoors, binary.BigEndian.Uint16(c.take(2))
	}
	return n, 0
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
	for range min(int(c.byte()), MaxDial+1) {
		host := c.host()
		if ports {
			port = c.port()
		}
		dial = append(dial, net.JoinHostPort(host, strconv.Itoa(int(port))))
	}
	return dial
}

func (c *cursor) pins() (pins []Pin) {
	for range min(int(c.byte()), MaxPins+1) {
		pins = append(pins, Pin(c.take(len(Pin{}))))
	}
	return pins
}
