package front

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"errors"

	"culvert/client/look"
	"culvert/internal/dial"
	"culvert/internal/link"
)

// Conn is a connection to a front or a resolver.
type Conn = look.Conn

// AutoLook is the name for the look that Dialer chooses.
const AutoLook = "auto"

// ParseLook reads the name of a look, which is empty for AutoLook. The error is look.ErrUnknown.
func ParseLook(name string) (string, error) {
	if name == AutoLook {
		return "", nil
	}
	_, err := look.Named(name)
	return name, err
}

// LookKey is the secret by which the looks of a link's user are chosen.
func LookKey(l *link.Link) []byte {
	m := hmac.New(sha256.New, l.Keys.Private[:])
	m.Write([]byte("culvert 2 looks"))
	return m.Sum(nil)
}

// maxBanned is how many Opens in a row are no chance that end as they do where a look is banned.
const maxBanned = 2

// firstLook is the look to begin with.
func (d *Dialer) firstLook(f link.Front) *look.Look {
	if l := d.fixedLook(f); l != nil {
		return l
	}
	m := hmac.New(sha256.New, d.LookKey)
	m.Write([]byte(f.String()))
	return look.Chosen(m.Sum(nil)[0])
}

// fixedLook is the look that somebody has named; nil: nobody has, or it is not known to this version.
func (d *Dialer) fixedLook(f link.Front) *look.Look {
	for _, name := range []string{d.Look, f.Look} {
		if l, err := look.Named(name); err == nil {
			return l
		}
	}
	return nil
}

// worn is a look, and the tickets of the sessions that began by it: by another, a ticket would tell that it is
// the same client.
type worn struct {
	look    *look.Look
	tickets *look.Tickets
}

func put(l *look.Look) worn { return worn{l, new(look.Tickets)} }

// LookOf names the look that f sees, if it is another than the one to begin with and has worked; else it is empty.
func (d *Dialer) LookOf(f link.Front) string {
	m, first := d.memory(f), d.firstLook(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.worn.look == first || !m.proven {
		return ""
	}
	return m.worn.look.Name()
}

// SetLook has f see a look that was learned before, or of another network; empty, or of a name that is not known:
// the one to begin with. What somebody has named stays.
func (d *Dialer) SetLook(f link.Front, name string) {
	to, err := look.Named(name)
	if err != nil || d.fixedLook(f) != nil {
		to = d.firstLook(f)
	}
	m := d.memory(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turnTo(to)
	m.proven = m.proven || err == nil
}

// turnTo has the next Open have a look. mu is held.
func (m *frontMemory) turnTo(l *look.Look) {
	if m.worn.look != l {
		m.worn, m.proven = put(l), false
	}
	m.fails = 0
}

// current is what the next Open looks like.
func (m *frontMemory) current() worn {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.worn
}

// learnBan turns to the next look after Opens that ended as they do where a look is banned: f's addresses
// connected, and no handshake was answered, or each was cut. So does one that the look itself is too much for.
func (o *opening) learnBan(failed *Error) {
	if failed.step != StepTLS || o.d.fixedLook(o.f) != nil {
		return
	}
	weight := 0
	for _, cause := range dial.Causes(failed.err) {
		weight = max(weight, banWeight(cause))
	}
	o.memory.failed(o.worn, weight)
}

// failed notes that an Open by w failed, and after some turns to the next look. What an Open says that began
// before another turned is about no look of now.
func (m *frontMemory) failed(w worn, weight int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.worn.look != w.look {
		return
	}
	if m.fails += weight; m.fails >= maxBanned {
		m.turnTo(w.look.Next())
	}
}

// banWeight is for how many failures a cause counts.
func banWeight(cause error) int {
	var no tls.RecordHeaderError
	var rejected *look.Rejected
	switch s := symptomOf(cause); {
	case errors.Is(cause, context.Canceled), errors.As(cause, &rejected):
		return 0
	case s == Silence, s == Cut:
		return 1
	case s != Other, errors.As(cause, &no):
		return 0
	}
	return maxBanned // TLS itself failed: this look's offers do not suit the front
}
