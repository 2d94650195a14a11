package look

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"

	utls "github.com/refraction-networking/utls"
	"golang.org/x/crypto/cryptobyte"
)

// flight is the connection beneath uTLS. What a server says first is examined before uTLS reads it, a record at a time.
type flight struct {
	net.Conn
	examine func(record []byte) error // sets itself to nil at the last record that it wants; nil: nothing is examined
	rest    []byte                    // of what was read, and not by uTLS yet
}

// Records (RFC 8446, section 5).
const (
	recordHead = 5
	maxRecord  = recordHead + 1<<14 + 256

	recordChange    = 20
	recordHandshake = 22
	recordData      = 23
)

// Read implements net.Conn.
func (f *flight) Read(b []byte) (int, error) {
	if len(f.rest) == 0 {
		if f.examine == nil {
			return f.Conn.Read(b)
		}
		if err := f.readRecord(); len(f.rest) == 0 {
			return 0, err
		}
	}
	n := copy(b, f.rest)
	if f.rest = f.rest[n:]; len(f.rest) == 0 {
		f.rest = nil
	}
	return n, nil
}

// readRecord reads one record, or what comes in its place, and has it examined. What does not pass is not in rest.
func (f *flight) readRecord() error {
	record := make([]byte, recordHead)
	n, err := io.ReadFull(f.Conn, record)
	f.rest = record[:n]
	if err != nil {
		return err
	}
	length := recordHead + int(binary.BigEndian.Uint16(record[3:]))
	if record[0] < recordChange || record[0] > recordData || length > maxRecord {
		f.examine = nil // no server of TLS answers: uTLS says so
		return nil
	}
	record = append(record, make([]byte, length-recordHead)...)
	n, err = io.ReadFull(f.Conn, record[recordHead:])
	if f.rest = record[:recordHead+n]; err != nil {
		return err
	}
	if err = f.examine(record); err != nil {
		f.rest = nil
	}
	return err
}

// answer examines what a server says first.
type answer struct {
	f     *flight
	u     *utls.UConn
	keys  map[utls.CurveID]*ecdh.PrivateKey // of the shares whose keys uTLS does not keep
	certs *packedCerts                      // nil: none may come
}

// expect has the answer to u's ClientHello be examined as far as it must be.
func (f *flight) expect(u *utls.UConn, certs *packedCerts) error {
	keys, err := shareKeys(u)
	if len(keys) > 0 || certs != nil {
		f.examine = (&answer{f, u, keys, certs}).record
	}
	return err
}

// errFirst is for what no server sends that a browser understands.
var errFirst = errors.New("the server's first messages are none of TLS")

// record takes one.
func (a *answer) record(record []byte) error {
	switch {
	case record[0] == recordChange:
		return nil
	case record[0] == recordHandshake:
		return a.hello(record)
	case record[0] == recordData && a.certs != nil:
		over, err := a.certs.record(record)
		if over {
			a.f.examine = nil
		}
		return err
	}
	a.f.examine = nil // the server refuses: uTLS says so
	return nil
}

// hello takes the record of a ServerHello, or of a HelloRetryRequest. The key of the group that it chose is put in place.
func (a *answer) hello(record []byte) error {
	h, ok := parseServerHello(record)
	if key := a.keys[h.group]; key != nil {
		a.u.HandshakeState.State13.KeyShareKeys.Ecdhe = key
	}
	switch {
	case a.certs == nil, ok && !h.is13:
		a.f.examine = nil
	case !ok:
		return errFirst
	default:
		a.certs.suite = h.suite
	}
	return nil
}

// shareKeys gives each key share of a curve but the first a key that is kept until the server has chosen one: uTLS keeps
// that of the first alone, by which a server that chooses another fails.
func shareKeys(u *utls.UConn) (map[utls.CurveID]*ecdh.PrivateKey, error) {
	kept, first := make(map[utls.CurveID]*ecdh.PrivateKey), true
	for _, s := range sharesOf(u) {
		curve := curves[s.Group]
		if curve == nil {
			continue
		}
		if first {
			first = false
			continue
		}
		key, err := curve.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		copy(s.Data, key.PublicKey().Bytes())
		kept[s.Group] = key
	}
	return kept, nil
}

// curves are those whose keys may be shared.
var curves = map[utls.CurveID]ecdh.Curve{
	utls.X25519: ecdh.X25519(), utls.CurveP256: ecdh.P256(), utls.CurveP384: ecdh.P384(), utls.CurveP521: ecdh.P521(),
}

// sharesOf are the key shares of a ClientHello, whose Data may be overwritten.
func sharesOf(u *utls.UConn) []utls.KeyShare {
	for _, e := range u.Extensions {
		if shares, ok := e.(*utls.KeyShareExtension); ok {
			return shares.KeyShares
		}
	}
	return nil
}

// serverHello is what matters of one.
type serverHello struct {
	suite uint16
	group utls.CurveID // of the key share; 0: there is none
	is13  bool         // TLS 1.3 is spoken
}

// parseServerHello reads a record that begins with one.
func parseServerHello(record []byte) (h serverHello, ok bool) {
	const (
		typeServerHello   = 2
		supportedVersions = 43
		keyShare          = 51
	)
	s := cryptobyte.String(record)
	var kind uint8
	var hello, session, extensions, body cryptobyte.String
	if !s.Skip(recordHead) || !s.ReadUint8(&kind) || kind != typeServerHello || !s.ReadUint24LengthPrefixed(&hello) ||
		!hello.Skip(2+32) || !hello.ReadUint8LengthPrefixed(&session) || !hello.ReadUint16(&h.suite) || !hello.Skip(1) {
		return h, false
	}
	if hello.Empty() {
		return h, true // as old servers have it
	}
	if !hello.ReadUint16LengthPrefixed(&extensions) {
		return h, false
	}
	for !extensions.Empty() {
		var number, group uint16
		if !extensions.ReadUint16(&number) || !extensions.ReadUint16LengthPrefixed(&body) {
			return h, false
		}
		switch number {
		case supportedVersions:
			h.is13 = true
		case keyShare:
			body.ReadUint16(&group)
			h.group = utls.CurveID(group)
		}
	}
	return h, true
}
