package doctor

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"culvert/internal/term"
	"culvert/internal/whatsapp"
)

// Trust says whom to take for WhatsApp. A report that rests on any other than
// Genuine says nothing about WhatsApp, and whoever shows it says so.
type Trust struct {
	Root [32]byte       // who certifies chat servers
	CAs  *x509.CertPool // who certifies media servers; nil: the system's
}

// Genuine trusts WhatsApp alone.
func Genuine() Trust { return Trust{Root: whatsapp.Root()} }

// Ways open a connection for chat and one for media: through a relay, or
// directly. A connection need not be answered yet when it is returned. Both
// functions may be called at once, and Prove closes what they return.
type Ways struct {
	Chat, Media func(context.Context) (net.Conn, error)
	Upload      int // bytes that go up; 0: 256 KiB
}

// Proofs are whether the three things that the app needs work.
type Proofs struct{ Chat, Down, Up Proof }

// Proof is whether one of them works: it does if Err is nil.
type Proof struct {
	Took     time.Duration
	Detail   string   // what was seen, for people
	Warnings []string // what was odd but is no failure
	Err      error

	leaf   uint64 // serial number of chat's certificate
	status int    // HTTP status of media
	expiry time.Time
}

// uploadSize is enough to show that bytes go up, and cheap on a phone's tariff.
const uploadSize = 256 << 10

// question asks a server over conn to prove itself, and notes what it said.
type question func(ctx context.Context, conn net.Conn, p *Proof) error

// Prove tries all three at once, each for limit at most.
func (w Ways) Prove(ctx context.Context, t Trust, limit time.Duration) (all Proofs) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var group sync.WaitGroup
	group.Go(func() { all.Chat = prove(ctx, w.Chat, t.askChat) })
	group.Go(func() { all.Down = prove(ctx, w.Media, t.askMedia(0)) })
	group.Go(func() { all.Up = prove(ctx, w.Media, t.askMedia(cmp.Or(w.Upload, uploadSize))) })
	group.Wait()
	return all
}

func prove(ctx context.Context, dial func(context.Context) (net.Conn, error), ask question) (p Proof) {
	start := time.Now()
	defer func() { p.Took = time.Since(start) }()
	conn, err := dial(ctx)
	if err != nil {
		p.Err = err
		return p
	}
	defer conn.Close()
	p.Err = ask(ctx, conn, &p)
	return p
}

func (t Trust) askChat(ctx context.Context, conn net.Conn, p *Proof) error {
	seen, err := whatsapp.Prove(ctx, conn, t.Root)
	if err != nil {
		return err
	}
	who := "genuine WhatsApp server"
	if t.Root != whatsapp.Root() {
		who = "proved by the given key"
	}
	p.leaf, p.expiry, p.Warnings = seen.LeafSerial, seen.NotAfter, seen.Warnings
	p.Detail = fmt.Sprintf("%s, certificate %d", who, seen.LeafSerial)
	if !p.expiry.IsZero() {
		p.Detail = fmt.Sprintf("%s, certificate %d until %s", who, seen.LeafSerial, term.Date(p.expiry))
	}
	return nil
}

// askMedia asks a media server, and sends it upload bytes first.
func (t Trust) askMedia(upload int) question {
	return func(ctx context.Context, conn net.Conn, p *Proof) error {
		seen, err := whatsapp.ProveMedia(ctx, conn, whatsapp.MediaHost, t.CAs, upload)
		if err != nil {
			return err
		}
		p.status, p.expiry = seen.Status, seen.NotAfter
		p.Detail = fmt.Sprintf("HTTPS status %d, certificate until %s", seen.Status, term.Date(seen.NotAfter))
		if upload > 0 {
			p.Detail = fmt.Sprintf("%s sent, HTTPS status %d", term.Size(uint64(seen.Sent)), seen.Status)
		}
		return nil
	}
}

// Problem is the proof's error without what only programs need.
func (p Proof) Problem() string {
	if errors.Is(p.Err, context.DeadlineExceeded) {
		return whatsapp.ErrTimeout.Error()
	}
	for _, known := range []error{whatsapp.ErrNotWhatsApp, whatsapp.ErrSignature, whatsapp.ErrClosed,
		whatsapp.ErrTimeout, whatsapp.ErrUnreachable, whatsapp.ErrNotAllowed, whatsapp.ErrNotPublic} {
		if errors.Is(p.Err, known) {
			return p.Err.Error()
		}
	}
	return fmt.Sprintf("failed: %v", p.Err)
}
