package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"culvert/internal/term"
	"culvert/internal/whatsapp"
)

// proofs are whether the three things that the app needs work on one way.
type proofs struct{ chat, down, up proof }

// proof is one of them.
type proof struct {
	took   time.Duration
	detail string // what was seen, for people
	leaf   uint64 // serial number of chat's certificate
	status int    // HTTP status of media
	expiry time.Time
	warn   []string
	err    error
}

// ways open a connection for chat and one for media.
type ways struct {
	chat, media func(context.Context) (net.Conn, error)
}

// uploadSize is enough to show that bytes go up, and cheap on a phone's tariff.
const uploadSize = 256 << 10

// prove tries all three at once, each for limit at most.
func (w ways) prove(ctx context.Context, t trust, limit time.Duration) (all proofs) {
	var group sync.WaitGroup
	try := func(into *proof, dial func(context.Context) (net.Conn, error), ask func(context.Context, net.Conn, *proof) error) {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			*into = proveOne(ctx, dial, ask)
		})
	}
	try(&all.chat, w.chat, t.proveChat)
	try(&all.down, w.media, t.proveDown)
	try(&all.up, w.media, t.proveUp)
	group.Wait()
	return all
}

func proveOne(ctx context.Context, dial func(context.Context) (net.Conn, error), ask func(context.Context, net.Conn, *proof) error) (p proof) {
	start := time.Now()
	defer func() { p.took = time.Since(start) }()
	conn, err := dial(ctx)
	if err != nil {
		p.err = err
		return p
	}
	defer conn.Close()
	p.err = ask(ctx, conn, &p)
	return p
}

func (t trust) proveChat(ctx context.Context, conn net.Conn, p *proof) error {
	seen, err := whatsapp.Prove(ctx, conn, whatsapp.TrustRoot(t.root))
	if err != nil {
		return err
	}
	who := "genuine WhatsApp server"
	if t.root != whatsapp.Root() {
		who = "proved by the given key"
	}
	p.leaf, p.expiry, p.warn = seen.LeafSerial, seen.NotAfter, seen.Warnings
	p.detail = fmt.Sprintf("%s, certificate %d", who, seen.LeafSerial)
	if !p.expiry.IsZero() {
		p.detail += " until " + term.Date(p.expiry)
	}
	return nil
}

func (t trust) proveDown(ctx context.Context, conn net.Conn, p *proof) error {
	seen, err := whatsapp.ProveMedia(ctx, conn, whatsapp.MediaHost, t.cas)
	if err != nil {
		return err
	}
	p.status, p.expiry = seen.Status, seen.NotAfter
	p.detail = fmt.Sprintf("HTTPS status %d, certificate until %s", seen.Status, term.Date(seen.NotAfter))
	return nil
}

func (t trust) proveUp(ctx context.Context, conn net.Conn, p *proof) error {
	seen, err := whatsapp.ProveUpload(ctx, conn, whatsapp.MediaHost, t.cas, uploadSize)
	if err != nil {
		return err
	}
	p.status, p.expiry = seen.Status, seen.NotAfter
	p.detail = fmt.Sprintf("%s sent, HTTPS status %d", term.Size(uint64(seen.Sent)), seen.Status)
	return nil
}
