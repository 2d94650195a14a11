package transport

import (
	"errors"
	"io"
	"sync"
	"time"
)

// errNotOpened means that a transport was not opened.
var errNotOpened = errors.New("the transport was not opened")

// Awaited is a Transport of the stream door's that is being opened: what it can do before is to be
// closed. NextMessage fails, and WriteMessage is not called, before Open.
type Awaited struct {
	mu     sync.Mutex // guards the following
	opened Transport  // nil: it is not
	owner  *Owner     // nil: Start was not called
	closed bool
}

// Open makes it t. It is called once.
func (a *Awaited) Open(t Transport) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.opened = t
	if a.owner != nil {
		t.Start(*a.owner)
	}
	if a.closed {
		t.Close()
	}
}

// Start implements Transport.
func (a *Awaited) Start(o Owner) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.owner = &o
	if a.opened != nil {
		a.opened.Start(o)
	}
}

// Close implements Transport.
func (a *Awaited) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	if a.opened == nil {
		return nil
	}
	return a.opened.Close()
}

func (a *Awaited) is() Transport {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.opened
}

// NextMessage implements Transport.
func (a *Awaited) NextMessage() (io.Reader, error) {
	if t := a.is(); t != nil {
		return t.NextMessage()
	}
	return nil, errNotOpened
}

// WriteMessage implements Transport.
func (a *Awaited) WriteMessage(b []byte) error { return a.is().WriteMessage(b) }

// Park implements Transport: a client's carrier has a goroutine that reads.
func (a *Awaited) Park(func()) bool { return false }

// Ahead implements Transport.
func (a *Awaited) Ahead() bool { return false }

// Probe implements Transport.
func (a *Awaited) Probe() error { return errors.ErrUnsupported }

// Lag implements Transport.
func (a *Awaited) Lag() time.Duration { return 0 }

// Unread implements Transport.
func (a *Awaited) Unread() bool { return false }

// Profile implements Transport.
func (a *Awaited) Profile() *Profile { return streamProfile }
