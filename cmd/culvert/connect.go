package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync"

	"culvert/client"
	"culvert/internal/link"
	"culvert/internal/whatsapp"
	"culvert/internal/wire"
)

const connectAbout = `
Takes the app's connections and carries them to the origin that the link leads
to. Point WhatsApp at it: Settings, Storage and data, Proxy; host, chat port and
media port as printed, TLS off. Every port serves chat and media alike.

It listens for programs of this machine only, unless --lan is given. It runs
until it is interrupted and goes on trying when there is no way through.

Examples:
  culvert connect culvert:…
  culvert connect --link-file link --lan`

// connectOptions is the command line of "culvert connect".
type connectOptions struct {
	flags   *flags
	link    *linkSource
	chat    string
	media   string
	raw     string
	lan     bool
	verbose bool
}

func newConnectOptions() *connectOptions {
	f := newFlags("culvert connect", "LINK [flags]", connectAbout)
	o := &connectOptions{flags: f, link: linkFlag(f)}
	f.StringVar(&o.chat, "chat", "", "`ADDR`, host:port, that serves chat (default 127.0.0.1:5222)")
	f.StringVar(&o.media, "media", "", "`ADDR`, host:port, that serves media (default 127.0.0.1:7777)")
	f.StringVar(&o.raw, "raw-chat", "", "`ADDR`, host:port, that takes every connection for chat; alone, it is the only one")
	f.BoolVar(&o.lan, "lan", false, "let phones on the same network in")
	f.BoolVar(&o.verbose, "verbose", false, "log every connection that ends")
	return o
}

func runConnect(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := newConnectOptions()
	rest, err := o.flags.parse(args, stdout)
	if err != nil {
		return err
	}
	l, err := o.link.read(rest, os.Stdin)
	if err != nil {
		return err
	}
	frugal()
	near, err := openNearEnd(ctx, l, o)
	if err != nil {
		return err
	}
	return near.run(ctx, stdout, stderr)
}

// frugal halves the garbage that waits to be collected: most of a client's
// memory is what idle connections hold, and half of that again was garbage.
func frugal() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

// nearEnd is a client and its listeners.
type nearEnd struct {
	client    *client.Client
	log       *slog.Logger
	listeners []nearListener
	app       appSettings
}

type nearListener struct {
	net.Listener
	raw bool
}

func openNearEnd(ctx context.Context, l *link.Link, o *connectOptions) (*nearEnd, error) {
	n := &nearEnd{log: o.logger()}
	var err error
	if n.client, err = client.New(client.Config{Link: l, Log: n.log}); err != nil {
		return nil, err
	}
	if err := n.listen(ctx, o); err != nil {
		n.close()
		return nil, err
	}
	n.app, err = settingsFor(o.lan, n.listeners)
	if err != nil {
		n.close()
	}
	return n, err
}

func (o *connectOptions) logger() *slog.Logger {
	level := slog.LevelWarn
	if o.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

func (n *nearEnd) listen(ctx context.Context, o *connectOptions) error {
	if o.raw != "" {
		if err := n.add(ctx, o.raw, true); err != nil {
			return err
		}
		if o.chat == "" && o.media == "" {
			return nil
		}
	}
	chat := orDefault(o.chat, client.ListenAddress(o.lan, client.DefaultChatPort))
	if err := n.add(ctx, chat, false); err != nil {
		return err
	}
	media := orDefault(o.media, client.ListenAddress(o.lan, client.DefaultMediaPort))
	if media == chat {
		return nil
	}
	return n.add(ctx, media, false)
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (n *nearEnd) add(ctx context.Context, address string, raw bool) error {
	ln, err := client.Listen(ctx, address)
	if err != nil {
		return fmt.Errorf("%w; --chat and --media choose other addresses", err)
	}
	n.listeners = append(n.listeners, nearListener{ln, raw})
	return nil
}

func (n *nearEnd) close() {
	for _, l := range n.listeners {
		l.Close()
	}
}

// serve carries connections until ctx ends.
func (n *nearEnd) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	group.Go(func() { n.client.Run(ctx) })
	for _, l := range n.listeners {
		listener := client.Listener{Raw: l.raw, Log: n.log, IsMedia: whatsapp.IsMediaHost,
			Carry: func(conn net.Conn, s wire.Service, first []byte) { n.client.Carry(conn, s, first) }}
		group.Go(func() {
			if err := listener.Serve(ctx, l.Listener); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (n *nearEnd) run(ctx context.Context, stdout, stderr io.Writer) error {
	fmt.Fprint(stdout, n.app.text())
	return n.serve(ctx)
}
