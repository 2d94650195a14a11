package serve

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"sync"
	"time"
)

// resumption has sessions of TLS 1.3 resumed by whoever has the key of the certificate that they began with: by a server
// that was started again, or another at the same name, too. Thousands come back at once then, and each would have to be
// proved the certificate anew.
//
// The keys of tickets follow from the certificate's. Who gets hold of that can pose as the server without tickets as well,
// and reads nothing that was recorded, since a session of TLS 1.3 is resumed by fresh keys beside its ticket
// (psk_dhe_ke, RFC 8446, section 2.2; Go's server knows no other way). One of TLS 1.2 is not: a ticket has in it what
// opens the session. So its tickets are those of Go's own random keys.
type resumption struct {
	plain *tls.Config

	mu  sync.Mutex // guards the following
	day int64      // since 1970
	by  map[*tls.Certificate]*tls.Config
}

// ticketDays is for how many days before today's tickets are taken: Go's server says that they last for a week.
const ticketDays = 7

// config is what a handshake goes by: nil, which is plain, or plain with a certificate and the keys that follow from its.
func (r *resumption) config(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if !slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
		return nil, nil
	}
	cert, err := r.plain.GetCertificate(hello)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if today := time.Now().Unix() / (24 * 60 * 60); r.day != today {
		r.day, r.by = today, map[*tls.Certificate]*tls.Config{}
	}
	if r.by[cert] == nil {
		keys, err := ticketKeys(cert, r.day)
		if err != nil {
			return nil, err
		}
		c := r.plain.Clone()
		c.GetCertificate, c.Certificates = nil, []tls.Certificate{*cert}
		c.SetSessionTicketKeys(keys)
		r.by[cert] = c
	}
	return r.by[cert], nil
}

// ticketKeys are those by which tickets are taken on a day, and the first is that by which they are made.
func ticketKeys(cert *tls.Certificate, day int64) (keys [][32]byte, err error) {
	secret, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return nil, err
	}
	for before := range int64(ticketDays + 1) {
		key, err := hkdf.Key(sha256.New, secret, nil, fmt.Sprint("culvert 2 tls tickets ", day-before), 32)
		if err != nil {
			return nil, err
		}
		keys = append(keys, [32]byte(key))
	}
	return keys, nil
}
