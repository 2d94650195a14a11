package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

// Numbers of extensions.
const (
	extensionName       = 0
	extensionALPN       = 16
	extensionSignatures = 13
	extensionTicket     = 35
	extensionPSK        = 41
	extensionVersions   = 43
	extensionKeyShare   = 51
	extensionECH        = 0xfe0d
)

// hello is a ClientHello (RFC 8446, section 4.1.2).
type hello struct {
	ciphers    []uint16
	numbers    []uint16 // of the extensions, in their order
	extensions map[uint16][]byte
}

var errHello = errors.New("it is no ClientHello")

func parseHello(record []byte) (*hello, error) {
	h := &hello{extensions: map[uint16][]byte{}}
	s := cryptobyte.String(record)
	var session, ciphers, methods, extensions cryptobyte.String
	if !s.Skip(5+4+2+32) || !s.ReadUint8LengthPrefixed(&session) || !s.ReadUint16LengthPrefixed(&ciphers) ||
		!s.ReadUint8LengthPrefixed(&methods) || !s.ReadUint16LengthPrefixed(&extensions) || !s.Empty() {
		return nil, errHello
	}
	h.ciphers = numbers(ciphers)
	for !extensions.Empty() {
		var number uint16
		var body cryptobyte.String
		if !extensions.ReadUint16(&number) || !extensions.ReadUint16LengthPrefixed(&body) {
			return nil, errHello
		}
		h.numbers = append(h.numbers, number)
		h.extensions[number] = body
	}
	return h, nil
}

// numbers reads all of s as numbers of two bytes.
func numbers(s cryptobyte.String) (all []uint16) {
	for var16 := uint16(0); s.ReadUint16(&var16); {
		all = append(all, var16)
	}
	return all
}

func isGREASE(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

// order is that of the extensions, in which one that means nothing is 0x0a0a.
func (h *hello) order() []uint16 {
	all := slices.Clone(h.numbers)
	for i, v := range all {
		if isGREASE(v) {
			all[i] = 0x0a0a
		}
	}
	return all
}

// oneKey reports whether the share of X25519MLKEM768 ends in the key that the share of X25519 is.
func (h *hello) oneKey() bool {
	body := cryptobyte.String(h.extensions[extensionKeyShare])
	var shares cryptobyte.String
	body.ReadUint16LengthPrefixed(&shares)
	keys := map[uint16][]byte{}
	for !shares.Empty() {
		var group uint16
		var key cryptobyte.String
		if !shares.ReadUint16(&group) || !shares.ReadUint16LengthPrefixed(&key) {
			return false
		}
		keys[group] = key
	}
	hybrid, alone := keys[0x11ec], keys[0x001d]
	return len(alone) > 0 && bytes.HasSuffix(hybrid, alone)
}

// ja4 is the fingerprint that FoxIO describes under that name, of TLS over TCP.
func (h *hello) ja4() string {
	real := func(all []uint16) []uint16 { return slices.DeleteFunc(slices.Clone(all), isGREASE) }
	ciphers, extensions := real(h.ciphers), real(h.numbers)
	named := "i"
	if slices.Contains(extensions, extensionName) {
		named = "d"
	}
	version := uint16(0)
	if body := h.extensions[extensionVersions]; len(body) > 0 {
		version = slices.Max(real(numbers(body[1:])))
	}
	head := fmt.Sprintf("t%s%s%02d%02d%s", map[uint16]string{0x0304: "13", 0x0303: "12"}[version], named, len(ciphers), len(extensions), h.alpn())
	hashed := slices.DeleteFunc(slices.Clone(extensions), func(v uint16) bool { return v == extensionName || v == extensionALPN })
	slices.Sort(ciphers)
	slices.Sort(hashed)
	var signatures []uint16
	if body := h.extensions[extensionSignatures]; len(body) > 2 {
		signatures = real(numbers(body[2:]))
	}
	return head + "_" + digest(list(ciphers)) + "_" + digest(list(hashed)+"_"+list(signatures))
}

// alpn is the first and the last character of the first protocol.
func (h *hello) alpn() string {
	body := h.extensions[extensionALPN]
	if len(body) < 4 {
		return "00"
	}
	first := body[3 : 3+body[2]]
	return string(first[0]) + string(first[len(first)-1])
}

func list(all []uint16) string {
	var words []string
	for _, v := range all {
		words = append(words, fmt.Sprintf("%04x", v))
	}
	return strings.Join(words, ",")
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])[:12]
}
