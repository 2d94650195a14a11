package front

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"culvert/client/look"
	"culvert/internal/doh"
	"culvert/internal/ech"
	"culvert/internal/link"
)

// encryption is by what a front's name is encrypted.
type encryption struct {
	by       ech.Config // zero: the name is sent as it is
	required bool       // the link says so: the name is never sent as it is
	told     bool       // by is what the front itself told, and has not taken yet
	off      bool       // what DNS told did not get through, and is not asked for again
}

// demanded is the encryption that f's link asks for.
func demanded(f link.Front) encryption {
	by, err := ech.Parse(f.ECH)
	return encryption{by: by, required: err == nil}
}

func (m *frontMemory) encryptsBy() ech.Config {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.encryption.by
}

// foundECH has the next ClientHello be encrypted by what DNS tells, if nothing better is known.
func (m *frontMemory) foundECH(by ech.Config) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := &m.encryption; e.by.IsZero() && !e.off {
		e.by = by
	}
}

// wantsECH reports whether DNS is to be asked for a configuration.
func (m *frontMemory) wantsECH() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.encryption.by.IsZero() && !m.encryption.off
}

// notEncrypted notes that a handshake by a configuration failed, and reports whether another at the same address makes sense. What
// the front tells is tried once, as by browsers (RFC 9849, section 6.1.6). Beyond that the name is sent as it is, unless
// the link has forbidden it: browsers do so where a front takes no ECH at all, and we also where ECH itself is cut.
func (m *frontMemory) notEncrypted(by ech.Config, err error) (again bool) {
	var no *look.Rejected
	told := errors.As(err, &no)
	m.mu.Lock()
	defer m.mu.Unlock()
	e := &m.encryption
	switch {
	case by.IsZero(), errors.Is(err, context.Canceled):
		return false
	case by != e.by: // another attempt has learned something
		return true
	case told && !no.Retry.IsZero() && !e.told:
		e.by, e.told = no.Retry, true
		return true
	case e.required:
		if e.told = false; told && !no.Retry.IsZero() {
			e.by = no.Retry // by the next Open
		}
		return false
	}
	*e = encryption{off: true}
	return true
}

// echExtra is how long a configuration may take beyond an address: it is asked for at the same time.
const echExtra = time.Second

// learnECH asks for the configuration of the name that is to be hidden.
func (a *asker) learnECH(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askTogether)
	defer cancel()
	if found, err := a.race(ctx, forECH, a.hide); err == nil {
		a.memory.foundECH(found.ech)
	}
}

// echIn is the configuration in what a resolver said. What cannot be used counts as none, as browsers have it.
func echIn(list []byte, err error) (findings, error) {
	if err != nil && !errors.Is(err, doh.ErrNoECH) {
		return findings{}, err
	}
	by, _ := ech.Parse(list)
	return findings{ech: by}, nil
}

// serviceName is the name whose HTTPS record tells of f's server (RFC 9460, section 9.1); empty: there is none.
func serviceName(f link.Front) string {
	name := f.ServerName()
	host, port, err := net.SplitHostPort(f.Addrs()[0])
	if n, numErr := strconv.Atoi(port); name == "" || err != nil || host == "" || numErr != nil || n == 443 {
		return name
	}
	return "_" + port + "._https." + name
}

// beside has learnECH run, once for all who call, beside what is done until the returned function is called, which waits for its
// end; but not for long, so that what was learned with it serves.
func (a *asker) beside(ctx context.Context) (wait func()) {
	if a.hide == "" || !a.memory.wantsECH() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	if !a.begun.Swap(true) {
		running.Go(func() {
			defer close(a.learned)
			a.learnECH(ctx)
		})
	}
	return func() {
		late := time.AfterFunc(echExtra, cancel)
		select {
		case <-a.learned:
		case <-ctx.Done():
		}
		late.Stop()
		cancel()
		running.Wait()
	}
}
