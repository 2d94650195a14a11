package look

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	randv2 "math/rand/v2"
	"slices"

	utls "github.com/refraction-networking/utls"
)

// Kind is what a connection is for. A browser says so in its ClientHello.
type Kind int

// The kinds.
const (
	Socket Kind = iota // a WebSocket
	Page               // anything else over HTTPS
)

func (l *Look) captured(kind Kind) []byte {
	if kind == Page {
		return l.data.Page
	}
	return l.data.Socket
}

// aeadOverhead is what all AEADs that ECH knows add to a text.
const aeadOverhead = 16

// spec is a ClientHello of l's that was never sent before. A small one has no key share of ML-KEM, and
// fits one packet.
func (l *Look) spec(kind Kind, small bool) (*utls.ClientHelloSpec, error) {
	printer := utls.Fingerprinter{AllowBluntMimicry: true}
	s, err := printer.RawClientHello(bytes.Clone(l.captured(kind)))
	if err != nil {
		return nil, err
	}
	for _, e := range s.Extensions {
		if err := l.renew(e, small); err != nil {
			return nil, err
		}
	}
	if l.data.Shuffled {
		shuffle(s.Extensions)
	}
	psk := &utls.UtlsPreSharedKeyExtension{} // left out without a ticket
	if l.data.NoTicket {
		for i, e := range s.Extensions {
			if t, ok := e.(*utls.SessionTicketExtension); ok {
				s.Extensions[i] = &ticketOrPSK{t, psk}
			}
		}
	}
	s.Extensions = append(s.Extensions, psk)
	return s, nil
}

// ticketOrPSK is the extension for tickets of TLS 1.2, which is left out where a ticket of TLS 1.3 is offered.
type ticketOrPSK struct {
	*utls.SessionTicketExtension
	psk *utls.UtlsPreSharedKeyExtension
}

// Len implements utls.TLSExtension.
func (e *ticketOrPSK) Len() int {
	if e.psk.IsInitialized() {
		return 0
	}
	return e.SessionTicketExtension.Len()
}

// Read implements utls.TLSExtension.
func (e *ticketOrPSK) Read(b []byte) (int, error) {
	if e.psk.IsInitialized() {
		return 0, io.EOF
	}
	return e.SessionTicketExtension.Read(b)
}

// renew has an extension hold nothing that was of one connection alone.
func (l *Look) renew(e utls.TLSExtension, small bool) error {
	switch e := e.(type) {
	case *utls.SignatureAlgorithmsExtension:
		for i, a := range e.SupportedSignatureAlgorithms {
			if isGREASE(uint16(a)) {
				e.SupportedSignatureAlgorithms[i] = utls.SignatureScheme(someGREASE())
			}
		}
	case *utls.SupportedCurvesExtension:
		if small {
			e.Curves = slices.DeleteFunc(e.Curves, func(c utls.CurveID) bool { return c == utls.X25519MLKEM768 })
		}
	case *utls.KeyShareExtension:
		if small {
			e.KeyShares = slices.DeleteFunc(e.KeyShares, func(s utls.KeyShare) bool { return s.Group == utls.X25519MLKEM768 })
		}
		for i, s := range e.KeyShares {
			if !isGREASE(uint16(s.Group)) {
				e.KeyShares[i].Data = nil
			}
		}
	case *utls.RenegotiationInfoExtension:
		e.Renegotiation = utls.RenegotiateNever
	case *utls.GREASEEncryptedClientHelloExtension:
		return l.renewECH(e)
	}
	return nil
}

// lastAEAD is the last of the numbers of ciphers from 1 on (RFC 9180, section 7.3). uTLS panics at others.
const lastAEAD = 3

// renewECH makes another GREASE ECH (RFC 9849, section 6.2). Its key is one of X25519, which random bytes
// are not.
func (l *Look) renewECH(e *utls.GREASEEncryptedClientHelloExtension) error {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	e.EncapsulatedKey = key.PublicKey().Bytes()
	kdf := e.CandidateCipherSuites[0].KdfId
	e.CandidateCipherSuites, e.CandidatePayloadLens = nil, nil
	for _, aead := range l.data.ECHCiphers {
		if aead == 0 || aead > lastAEAD {
			return errors.New("it has an ECH by a cipher that HPKE does not have")
		}
		e.CandidateCipherSuites = append(e.CandidateCipherSuites, utls.HPKESymmetricCipherSuite{KdfId: kdf, AeadId: aead})
	}
	for _, n := range l.data.ECHPayloads {
		if n <= aeadOverhead || n > maxHello/8 {
			return errors.New("it has an ECH of a length that cannot be")
		}
		e.CandidatePayloadLens = append(e.CandidatePayloadLens, n-aeadOverhead)
	}
	if len(e.CandidateCipherSuites) == 0 || len(e.CandidatePayloadLens) == 0 {
		return errors.New("it has an ECH without ciphers or lengths")
	}
	return nil
}

// shuffle orders extensions anew, as BoringSSL does: all but GREASE ones.
func shuffle(all []utls.TLSExtension) {
	var free []int
	for i, e := range all {
		if _, fixed := e.(*utls.UtlsGREASEExtension); !fixed {
			free = append(free, i)
		}
	}
	randv2.Shuffle(len(free), func(i, j int) { all[free[i]], all[free[j]] = all[free[j]], all[free[i]] })
}

// isGREASE reports whether a value is one of those that mean nothing (RFC 8701).
func isGREASE(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

func someGREASE() uint16 { return uint16(randv2.IntN(16))*0x1010 + 0x0a0a }

// Bounds of a ClientHello's record.
const (
	minHello = 100
	maxHello = 8 << 10
)

// checkHello makes sure that a connection can begin as it is captured.
func (l *Look) checkHello(kind Kind) error {
	record := l.captured(kind)
	if len(record) < minHello || len(record) > maxHello || record[0] != 22 || record[5] != 1 ||
		int(binary.BigEndian.Uint16(record[3:])) != len(record)-5 {
		return errors.New("it is no record of one ClientHello")
	}
	for _, small := range []bool{false, true} {
		s, err := l.spec(kind, small)
		if err != nil {
			return err
		}
		if err := checkSpec(s); err != nil {
			return err
		}
	}
	return l.try(kind)
}

// checkSpec refuses what no browser of these days sends, and what uTLS cannot play.
func checkSpec(s *utls.ClientHelloSpec) error {
	seen := make(map[string]bool)
	for i, e := range s.Extensions {
		name := fmt.Sprintf("%T", e)
		_, isGREASE := e.(*utls.UtlsGREASEExtension)
		_, isOther := e.(*utls.GenericExtension)
		_, isPSK := e.(utls.PreSharedKeyExtension)
		switch {
		case isPSK && i != len(s.Extensions)-1:
			return errors.New("it resumes a session")
		case seen[name] && !isGREASE && !isOther:
			return errors.New("it has an extension twice")
		}
		seen[name] = true
	}
	for _, need := range []utls.TLSExtension{&utls.SNIExtension{}, &utls.SupportedVersionsExtension{}, &utls.KeyShareExtension{},
		&utls.SupportedCurvesExtension{}, &utls.SignatureAlgorithmsExtension{}, &utls.ALPNExtension{}} {
		if !seen[fmt.Sprintf("%T", need)] {
			return fmt.Errorf("it lacks %T", need)
		}
	}
	return nil
}
