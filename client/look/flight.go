package look

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"

	utls "github.com/refraction-networking/utls"
	"golang.org/x/crypto/cryptobyte"
)

// flight is the connection beneath uTLS. What a server says first is looked at before uTLS reads it, a record at a time.
type flight struct {
	net.Conn
	look func(record []byte) // sees records of a handshake, and sets itself to nil at the last that it wants; nil: nothing is looked at
	rest []byte              // of what was read, and not by uTLS yet
}

// Sizes of a record (RFC 8446, section 5).
const (
	recordHead      = 5
	maxRecord       = recordHead + 1<<14 + 256
	recordHandshake = 22
)

// Read implements net.Conn.
func (f *flight) Read(b []byte) (int, error) {
	if len(f.rest) == 0 {
		if f.look == nil {
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

// readRecord reads one record, or what comes in its place, and has it looked at.
func (f *flight) readRecord() error {
	record := make([]byte, recordHead)
	n, err := io.ReadFull(f.Conn, record)
	f.rest = record[:n]
	if err != nil {
		return err
	}
	length := recordHead + int(binary.BigEndian.Uint16(record[3:]))
	if record[0] != recordHandshake || length > maxRecord {
		f.look = nil // no server of TLS answers, or it refuses: uTLS says so
		return nil
	}
	record = append(record, make([]byte, length-recordHead)...)
	n, err = io.ReadFull(f.Conn, record[recordHead:])
	if f.rest = record[:recordHead+n]; err == nil {
		f.look(record)
	}
	return err
}

// shareKeys gives each key share of a curve but the first a key that is kept until the server has chosen one: uTLS keeps
// that of the first alone, by which a server that chooses another fails.
func shareKeys(u *utls.UConn, f *flight) error {
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
			return err
		}
		copy(s.Data, key.PublicKey().Bytes())
		kept[s.Group] = key
	}
	if len(kept) > 0 {
		f.look = func(record []byte) {
			f.look = nil
			if key := kept[chosenGroup(record)]; key != nil {
				u.HandshakeState.State13.KeyShareKeys.Ecdhe = key
			}
		}
	}
	return nil
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

// chosenGroup is the group of the server's key share in the record of a ServerHello; 0: it has none.
func chosenGroup(record []byte) utls.CurveID {
	const (
		serverHello = 2
		keyShare    = 51
	)
	s := cryptobyte.String(record)
	var kind uint8
	var hello, session, extensions, body cryptobyte.String
	if !s.Skip(recordHead) || !s.ReadUint8(&kind) || kind != serverHello || !s.ReadUint24LengthPrefixed(&hello) ||
		!hello.Skip(2+32) || !hello.ReadUint8LengthPrefixed(&session) || !hello.Skip(2+1) || !hello.ReadUint16LengthPrefixed(&extensions) {
		return 0
	}
	for !extensions.Empty() {
		var number, group uint16
		if !extensions.ReadUint16(&number) || !extensions.ReadUint16LengthPrefixed(&body) {
			return 0
		}
		if number == keyShare && body.ReadUint16(&group) {
			return utls.CurveID(group)
		}
	}
	return 0
}
