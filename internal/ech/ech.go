// Package ech reads the configurations of Encrypted Client Hello (RFC 9849) that links and DNS hand out: a server's key,
// by which a ClientHello is encrypted that names the server, and the name that is sent in the clear in its place.
package ech

import (
	"crypto/ecdh"
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

// MaxList bounds a list of configurations, in bytes: several of them, with names at their longest, are shorter.
const MaxList = 1 << 10

// Numbers of RFC 9849, section 4, and of HPKE's registry (RFC 9180, section 7).
const (
	version   = 0xfe0d
	kemX25519 = 0x0020
	keyLen    = 32 // of X25519
	kdfSHA256 = 1
	lastAEAD  = 3 // AES-128-GCM, AES-256-GCM and ChaCha20-Poly1305 are 1 to 3
	maxName   = 253
	mandatory = 1 << 15 // a client that does not know such an extension leaves the configuration out
)

// Config is one configuration that a client can use. Its zero value is none. It is made by Parse alone.
type Config struct {
	list   string // of it alone, as it is written
	public string
}

// IsZero reports whether c is none.
func (c Config) IsZero() bool { return c.list == "" }

// List is c as an ECHConfigList.
func (c Config) List() []byte { return []byte(c.list) }

// PublicName is the name that is sent in the clear, and whose certificate the server shows if it does not take c.
func (c Config) PublicName() string { return c.public }

// Errors of Parse. Their texts fit behind a colon.
var (
	errBroken = errors.New("it is no list of ECH configurations (ECHConfigList): copy it whole from the ech of the name's HTTPS record")
	errNone   = errors.New("it has no ECH configuration that can be used, which takes X25519, HKDF-SHA256 and a public name: is it of a current server?")
)

// Parse is the first configuration of an ECHConfigList that can be used.
func Parse(list []byte) (Config, error) {
	s := cryptobyte.String(list)
	var all cryptobyte.String
	if len(list) > MaxList || !s.ReadUint16LengthPrefixed(&all) || !s.Empty() || all.Empty() {
		return Config{}, errBroken
	}
	var found Config
	for !all.Empty() {
		whole := all
		var number uint16
		var body cryptobyte.String
		if !all.ReadUint16(&number) || !all.ReadUint16LengthPrefixed(&body) {
			return Config{}, errBroken
		}
		if number != version {
			continue
		}
		public, usable, err := read(body)
		if err != nil {
			return Config{}, err
		}
		if usable && found.IsZero() {
			one := whole[:len(whole)-len(all)]
			found = Config{string([]byte{byte(len(one) >> 8), byte(len(one))}) + string(one), public}
		}
	}
	if found.IsZero() {
		return Config{}, errNone
	}
	return found, nil
}

// read is the public name of the contents of a configuration, and whether it can be used.
func read(s cryptobyte.String) (public string, usable bool, err error) {
	var id, longest uint8
	var kem uint16
	var key, suites, name, extensions cryptobyte.String
	if !s.ReadUint8(&id) || !s.ReadUint16(&kem) || !s.ReadUint16LengthPrefixed(&key) || !s.ReadUint16LengthPrefixed(&suites) ||
		!s.ReadUint8(&longest) || !s.ReadUint8LengthPrefixed(&name) || !s.ReadUint16LengthPrefixed(&extensions) || !s.Empty() {
		return "", false, errBroken
	}
	usable = kem == kemX25519 && isKey(key)
	suite, err := hasSuite(suites)
	if err != nil {
		return "", false, err
	}
	for !extensions.Empty() {
		var number uint16
		var body cryptobyte.String
		if !extensions.ReadUint16(&number) || !extensions.ReadUint16LengthPrefixed(&body) {
			return "", false, errBroken
		}
		usable = usable && number&mandatory == 0
	}
	return string(name), usable && suite && isName(string(name)), nil
}

// isKey reports whether a key is one of X25519 by which something secret can be agreed on: those of low order are not.
func isKey(key []byte) bool {
	public, err := ecdh.X25519().NewPublicKey(key)
	if err != nil {
		return false
	}
	any, err := ecdh.X25519().NewPrivateKey(make([]byte, keyLen))
	if err == nil {
		_, err = any.ECDH(public)
	}
	return err == nil
}

// hasSuite reports whether one of the ciphers is known.
func hasSuite(s cryptobyte.String) (found bool, err error) {
	if s.Empty() {
		return false, errBroken
	}
	for !s.Empty() {
		var kdf, aead uint16
		if !s.ReadUint16(&kdf) || !s.ReadUint16(&aead) {
			return false, errBroken
		}
		found = found || kdf == kdfSHA256 && aead >= 1 && aead <= lastAEAD
	}
	return found, nil
}

// isName reports whether a name is one of a host in the form that is sent: no address, which would not be sent.
func isName(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil || len(name) > maxName || !strings.Contains(name, ".") {
		return false
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		other := func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
		}
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, other) {
			return false
		}
	}
	last := labels[len(labels)-1]
	return strings.Trim(last, "0123456789") != ""
}
