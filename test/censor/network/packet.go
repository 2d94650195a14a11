package network

import (
	"encoding/binary"
	"net/netip"
)

// The flags of a TCP header, RFC 9293, section 3.1.
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

const (
	ipv4Len = 20 // an IPv4 header without options, RFC 791, section 3.1
	tcpLen  = 20 // a TCP header without options
	tcp     = 6  // IPv4's protocol number
)

// packet is what a censor reads of a TCP segment in an IPv4 packet.
type packet struct {
	from, to netip.AddrPort
	seq, ack uint32
	flags    byte
	payload  []byte // aliases the packet's bytes
	size     int    // of the whole packet
}

func (p packet) has(flags byte) bool { return p.flags&flags == flags }

// after is the sequence number that follows the segment.
func (p packet) after() uint32 {
	n := p.seq + uint32(len(p.payload))
	if p.has(syn) {
		n++
	}
	if p.has(fin) {
		n++
	}
	return n
}

// parse reads a packet; ok is false if b is anything but TCP in IPv4.
func parse(b []byte) (p packet, ok bool) {
	if len(b) < ipv4Len+tcpLen || b[0]>>4 != 4 || b[9] != tcp {
		return p, false
	}
	head := int(b[0]&15) * 4
	if head < ipv4Len || len(b) < head+tcpLen {
		return p, false
	}
	t := b[head:]
	offset := int(t[12]>>4) * 4
	if offset < tcpLen || offset > len(t) {
		return p, false
	}
	return packet{
		from:    netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:])), binary.BigEndian.Uint16(t)),
		to:      netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:])), binary.BigEndian.Uint16(t[2:])),
		seq:     binary.BigEndian.Uint32(t[4:]),
		ack:     binary.BigEndian.Uint32(t[8:]),
		flags:   t[13],
		payload: t[offset:],
		size:    len(b),
	}, true
}

// reset is a packet that ends a connection at the end to, which takes it only with
// the sequence number that it waits for (RFC 5961, section 3).
func reset(from, to netip.AddrPort, seq, acked uint32) []byte {
	b := make([]byte, ipv4Len+tcpLen)
	b[0], b[8], b[9] = 4<<4|ipv4Len/4, 64, tcp
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	src, dst := from.Addr().As4(), to.Addr().As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	t := b[ipv4Len:]
	binary.BigEndian.PutUint16(t, from.Port())
	binary.BigEndian.PutUint16(t[2:], to.Port())
	binary.BigEndian.PutUint32(t[4:], seq)
	binary.BigEndian.PutUint32(t[8:], acked)
	t[12], t[13] = tcpLen/4<<4, rst|ack
	binary.BigEndian.PutUint16(b[10:], checksum(sum(0, b[:ipv4Len])))
	pseudo := sum(tcp+tcpLen, b[12:20]) // RFC 9293, section 3.1
	binary.BigEndian.PutUint16(t[16:], checksum(sum(pseudo, t)))
	return b
}

// sum adds up words of 16 bits, of which b holds a whole number.
func sum(s uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	return s
}

func checksum(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}
