package front

import (
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"culvert/internal/link"
)

// errPin means that no certificate of the front has a key that the link pins.
var errPin = errors.New("the certificate matches no pin of the link")

// verifier returns the judge of f's certificate: one that matches a pin, if
// there are pins, else one that public authorities vouch for under f's name. The name to
// verify and the name to send are two.
func (d *Dialer) verifier(f link.Front) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		chain := state.PeerCertificates
		switch {
		case len(chain) == 0:
			return errors.New("the front shows no certificate")
		case len(f.Pins) > 0:
			return verifyPins(chain, f)
		case d.Now != nil:
			return verifyChain(chain, d.Roots, f.VerifyName(), d.Now())
		}
		return verifyChain(chain, d.Roots, f.VerifyName(), time.Now())
	}
}

// verifyPins accepts a leaf whose key is pinned, whatever its names; or a leaf that
// a pinned certificate of the chain vouches for, under f's name. Dates do not count:
// a pin is good until the link is replaced, also on a machine without a clock.
func verifyPins(chain []*x509.Certificate, f link.Front) error {
	if pinned(chain[0], f.Pins) {
		return nil
	}
	roots, found := x509.NewCertPool(), false
	for _, c := range chain[1:] {
		if pinned(c, f.Pins) {
			roots.AddCert(c)
			found = true
		}
	}
	if !found {
		return errPin
	}
	return verifyChain(chain, roots, f.VerifyName(), whenValid(chain))
}

// whenValid is a moment at which all of chain is valid, if there is one.
func whenValid(chain []*x509.Certificate) time.Time {
	return slices.MaxFunc(chain, func(a, b *x509.Certificate) int { return a.NotBefore.Compare(b.NotBefore) }).NotBefore
}

func pinned(c *x509.Certificate, pins []link.Pin) bool {
	have, match := link.PinOf(c), 0
	for _, p := range pins {
		match |= subtle.ConstantTimeCompare(have[:], p[:])
	}
	return match == 1
}

// verifyChain verifies the first certificate for name, which may be an IP
// address, with the others on the way to roots; nil means the system's.
func verifyChain(chain []*x509.Certificate, roots *x509.CertPool, name string, now time.Time) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		DNSName:       name,
		Roots:         roots,
		Intermediates: between,
		CurrentTime:   now,
	})
	return err
}
