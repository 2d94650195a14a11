package look

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	utls "github.com/refraction-networking/utls"

	"culvert/internal/ech"
)

// Config is one handshake.
type Config struct {
	Kind    Kind
	Name    string                          // to send as SNI; empty: none
	Small   bool                            // the ClientHello is to fit one packet
	Verify  func(tls.ConnectionState) error // judges the peer, also when a session is resumed; it is all that does, and must be there
	Tickets *Tickets                        // nil: no session is resumed

	ECH   ech.Config       // by which Name is encrypted, so that the server must take it; zero: Name is sent as it is
	Roots *x509.CertPool   // whose certificates a server shows that does not take ECH; nil: the system's
	Now   func() time.Time // when those hold; nil: time.Now
}

// Conn is a TLS connection that looks like a browser's.
type Conn struct {
	net.Conn // speaks TLS
	look     *Look
	tls      *utls.UConn
	raw      net.Conn // beneath TLS
}

// Handshake makes TLS of raw. The caller closes raw if that fails; it is closed already if ctx has ended first.
func (l *Look) Handshake(ctx context.Context, raw net.Conn, cfg Config) (*Conn, error) {
	if cfg.Verify == nil {
		return nil, errNoJudge
	}
	u, err := l.prepare(raw, cfg)
	if err != nil {
		return nil, err
	}
	sent := groups(u)
	err = u.HandshakeContext(ctx)
	if hello := u.HandshakeState.ServerHello; cfg.Tickets != nil && hello != nil &&
		(hello.SelectedGroup != 0 || hello.ServerShare.Group != 0 && !slices.Contains(sent, hello.ServerShare.Group)) {
		cfg.Tickets.stop()
	}
	switch {
	case err != nil && strings.Contains(err.Error(), "PSK key triggered by HelloRetryRequest"):
		cfg.Tickets.stop()
		return nil, fmt.Errorf("%w: %w", ErrTicket, err)
	case err != nil:
		return nil, translated(err)
	case keepsNoSecret(u.ConnectionState()):
		return nil, errNoSecrecy
	}
	return &Conn{Conn: u, look: l, tls: u, raw: raw}, nil
}

// errNoJudge is for a Config that would have anybody believed.
var errNoJudge = errors.New("nothing verifies the peer")

// errNoSecrecy is for a server that agrees on what browsers still offer and the standard library's client does not.
var errNoSecrecy = errors.New("the server agrees on keys that its certificate's key opens later (RSA key exchange)")

// keepsNoSecret reports whether whoever gets the server's private key later can read what is sent now.
func keepsNoSecret(s utls.ConnectionState) bool {
	return s.Version < utls.VersionTLS13 && slices.Contains(rsaSuites, s.CipherSuite)
}

// rsaSuites are those of RSA key exchange that browsers offer.
var rsaSuites = []uint16{
	tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_CBC_SHA,
	tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA256, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA,
}

// ErrTicket means that a server which was offered a ticket wants another ClientHello, as it takes none of the
// groups that have key shares. uTLS cannot offer the ticket again. A new connection offers none.
var ErrTicket = errors.New("the server wants another ClientHello, and a ticket was offered")

// groups are those that have key shares.
func groups(u *utls.UConn) (all []utls.CurveID) {
	for _, s := range sharesOf(u) {
		all = append(all, s.Group)
	}
	return all
}

// prepare is Handshake up to what is sent first.
func (l *Look) prepare(raw net.Conn, cfg Config) (*utls.UConn, error) {
	spec, err := l.spec(cfg.Kind, cfg.Small)
	if err != nil {
		return nil, err
	}
	if cfg.Name == "" {
		spec.Extensions = slices.DeleteFunc(spec.Extensions, func(e utls.TLSExtension) bool {
			_, ok := e.(*utls.SNIExtension)
			return ok
		})
	}
	settings := &utls.Config{
		ServerName: cfg.Name, InsecureSkipVerify: true, OmitEmptyPsk: true, DynamicRecordSizingDisabled: true,
		MinVersion: utls.VersionTLS12,
	}
	if cfg.Tickets != nil {
		settings.ClientSessionCache = cfg.Tickets
	}
	if !cfg.ECH.IsZero() && cfg.Name != "" {
		encrypt(settings, spec, cfg)
	}
	settings.VerifyConnection = func(s utls.ConnectionState) error { return cfg.Verify(plain(s)) }
	f, certs := &flight{Conn: raw}, packedCertsOf(spec)
	if certs != nil {
		settings.KeyLogWriter = certs
	}
	u := utls.UClient(f, settings, utls.HelloCustom)
	if err := u.ApplyPreset(spec); err != nil {
		return nil, err
	}
	if l.data.OneKey {
		shareKey(u)
	}
	return u, f.expect(u, certs)
}

// mlkemLen is how long the ML-KEM part of a key share is (an encapsulation key of ML-KEM-768, FIPS 203).
const mlkemLen = 1184

// shareKey has the share of X25519MLKEM768 end in the key that the share of X25519 is, too.
func shareKey(u *utls.UConn) {
	keys := u.HandshakeState.State13.KeyShareKeys
	if keys.MlkemEcdhe == nil || keys.Ecdhe == nil {
		return
	}
	for _, s := range sharesOf(u) {
		if s.Group == utls.X25519MLKEM768 {
			copy(s.Data[mlkemLen:], keys.Ecdhe.PublicKey().Bytes())
			keys.MlkemEcdhe = keys.Ecdhe
		}
	}
}

// try makes a ClientHello, and throws it away.
func (l *Look) try(kind Kind) error {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	u, err := l.prepare(near, Config{Kind: kind, Name: "www.example.com"})
	if err != nil {
		return err
	}
	return u.BuildHandshakeState()
}

// NetConn is the connection beneath TLS.
func (c *Conn) NetConn() net.Conn { return c.raw }

// ConnectionState says what was agreed on.
func (c *Conn) ConnectionState() tls.ConnectionState { return plain(c.tls.ConnectionState()) }

// Exporter is that of TLS 1.3 (RFC 8446, section 7.5); nil: it is an older one.
func (c *Conn) Exporter() func(label string, context []byte, length int) ([]byte, error) {
	state := c.tls.ConnectionState()
	if state.Version != utls.VersionTLS13 {
		return nil
	}
	return state.ExportKeyingMaterial
}

// plain is s as the rest of the program knows it.
func plain(s utls.ConnectionState) tls.ConnectionState {
	return tls.ConnectionState{
		Version: s.Version, HandshakeComplete: s.HandshakeComplete, DidResume: s.DidResume, CipherSuite: s.CipherSuite,
		NegotiatedProtocol: s.NegotiatedProtocol, ServerName: s.ServerName, PeerCertificates: s.PeerCertificates,
		ECHAccepted: s.ECHAccepted,
	}
}

// translated is err with the standard library's types in place of uTLS's.
func translated(err error) error {
	var record utls.RecordHeaderError
	if errors.As(err, &record) {
		return tls.RecordHeaderError{Msg: record.Msg, RecordHeader: record.RecordHeader, Conn: record.Conn}
	}
	return rejected(err)
}
