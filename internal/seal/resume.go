package seal

import (
	"culvert/internal/wire"
)

// What the payload of an Open frame begins with.
const (
	openFull    = 1 // a Noise message follows, and both ends keep a resumption
	openResumed = 2 // a resumed Open, as below
	openOnce    = 3 // a Noise message follows, and neither end keeps anything
)

// A resumed Open is these bytes, then the hello and its tag, sealed by
// AES-256-GCM with a nonce of zeros, as no key of it is ever used twice, and
// with these bytes as additional data.
//
//	0  kind    1  openResumed
//	1  name   16  of the resumption
//	17 nonce  16  the client's, random
//
// The Accept that answers it is the origin's nonce, 16 bytes, and an empty
// record of the kind wire.Accept at ControlPos in the direction to the client,
// which is the proof that the origin holds the secret.
const (
	resumedHead   = 1 + 16 + 16
	resumedExtra  = resumedHead + wire.Overhead
	resumedAccept = 16 + wire.Overhead
)

// sealOpen makes a resumed Open of buf, which has resumedHead bytes before the
// hello and room for its tag behind.
func (r *resumption) sealOpen(buf []byte, id wire.TunnelID, client *nonce) []byte {
	buf[0] = openResumed
	copy(buf[1:], r.name[:])
	copy(buf[17:], client[:])
	key := r.openKey(id, client)
	c := newRecord(&key)
	return c.aead.Seal(buf[:resumedHead], c.nonce[:], buf[resumedHead:], buf[:resumedHead])
}

// openOpen returns the hello of a resumed Open, of which it alters nothing.
func (r *resumption) openOpen(open []byte, id wire.TunnelID, client *nonce) ([]byte, error) {
	key := r.openKey(id, client)
	c := newRecord(&key)
	plain, err := c.aead.Open(nil, c.nonce[:], open[resumedHead:], open[:resumedHead])
	if err != nil {
		return nil, ErrHandshake
	}
	return plain, nil
}

// accept answers a resumed Open.
func (r *resumption) accept(id wire.TunnelID, client, origin *nonce) ([]byte, *Keys) {
	d := r.directions(id, client, origin)
	keys := newKeys(&d.toClient, &d.toOrigin)
	payload := append(make([]byte, 0, resumedAccept), origin[:]...)
	proof := keys.Seal(payload[len(payload):], wire.Accept, ControlPos)
	return payload[:len(payload)+len(proof)], keys
}

// finish checks the answer.
func (r *resumption) finish(accept []byte, id wire.TunnelID, client *nonce) (*Keys, error) {
	if len(accept) != resumedAccept {
		return nil, ErrHandshake
	}
	origin := nonce(accept)
	d := r.directions(id, client, &origin)
	keys := newKeys(&d.toOrigin, &d.toClient)
	if _, err := keys.Open(accept[len(origin):], wire.Accept, ControlPos); err != nil {
		return nil, ErrHandshake
	}
	return keys, nil
}
