// Package nearend is the near end of the relay as commands run it: a client with
// the listeners of the app, what a person enters into the app, and the line that
// tells how it goes. "culvert connect" is a near end and no more; "local run"
// has the rest of the relay behind it.
package nearend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"culvert/client"
	"culvert/client/front"
	"culvert/client/household"
	"culvert/client/listener"
	"culvert/internal/link"
	"culvert/internal/term"
	"culvert/internal/wire"
)

// Options say where the app's connections are taken. All may be zero.
type Options struct {
	Chat, Media string   // host:port to listen at; empty: the ports that the app expects
	Also        []string // host:port each of listeners that serve chat and media, too
	Raw         string   // host:port that takes every connection for chat; alone, it is the only one
	Web         string   // host:port that serves browsers and other programs, by SOCKS5 and HTTP CONNECT
	LAN         bool     // phones on the same network are let in
	Guests      int      // connections from other machines at once; 0: 1,024
	Host        string   // what phones dial; empty: found out
	Verbose     bool     // log every connection that ends, and what the client does

	DialRate float64 // connections a second that bulk may begin where each brings little; 0: one

	Keep string // directory for what is learned of networks; empty: it is forgotten at the end

	Dialer *front.Dialer // reaches the fronts; nil: one with the system's roots, and no proxy
	Visit  bool          // their pages are asked for, too, as browsers do
}

// AddFlags adds the flags that every command with a near end has.
func (o *Options) AddFlags(f *term.Flags) {
	f.StringVar(&o.Chat, "chat", "", "`ADDR`, host:port, that serves chat (default 127.0.0.1:5222)")
	f.StringVar(&o.Media, "media", "", "`ADDR`, host:port, that serves media (default 127.0.0.1:7777)")
	f.Texts(&o.Also, "also", "`ADDR`, host:port, that serves chat and media, too, for networks that let through certain ports alone; may be repeated")
	f.StringVar(&o.Web, "web", "", "`ADDR`, host:port, that serves WhatsApp Web and Desktop as a SOCKS5 and HTTP proxy; for WhatsApp's names alone")
	f.BoolVar(&o.LAN, "lan", false, "let phones on the same network in")
	f.IntVar(&o.Guests, "max-guests", 1024, "`NUMBER` of connections that other machines may have at once with --lan; when they get scarce those that have had no answer end first")
	f.StringVar(&o.Host, "host", "", "`NAME` or IPv4 address by which phones reach this machine, if culvert finds a wrong one")
	f.BoolVar(&o.Verbose, "verbose", false, "log every connection that ends")
}

// AnyPorts are Options that have the system choose the ports.
var AnyPorts = Options{Chat: "127.0.0.1:0", Media: "127.0.0.1:0"}

// NearEnd is a client and its listeners. Open makes one; then either Serve or Run
// is called, once, or Close. Its other methods may be called by many goroutines.
type NearEnd struct {
	Client *client.Client
	App    AppSettings // what a person enters into the app

	log       *slog.Logger
	listeners []port
	fronts    int    // of the link
	keep      string // where what is learned is kept, and "culvert status" asks; empty: nowhere
	began     time.Time
	meter     household.Meter
}

// port is a listener for the app.
type port struct {
	net.Listener
	kind kind
}

// kind is whom a listener serves.
type kind int

const (
	forApp  kind = iota
	forRaw       // every connection is chat
	forWeb       // browsers
	forMore      // the app, at a port that it is not told of
)

// Open listens; nothing is served before Serve is called. Whoever does not call
// Serve calls Close. An error about an address names the flag that changes it.
func Open(ctx context.Context, l *link.Link, o Options, logs io.Writer) (*NearEnd, error) {
	if err := o.Check(); err != nil {
		return nil, term.BadInput{Err: err}
	}
	own, clients := loggers(logs, o.Verbose)
	n := &NearEnd{log: own, fronts: len(l.Fronts), keep: o.Keep, began: time.Now()}
	var err error
	n.Client, err = client.New(client.Config{Link: l, Log: clients, Dialer: o.Dialer, DialRate: o.DialRate, Keep: o.Keep, Guests: o.Guests, Visit: o.Visit})
	if err != nil {
		return nil, err
	}
	if err = n.listen(ctx, &o); err == nil {
		n.App, err = settingsFor(&o, n.listeners, scriptOf(l))
	}
	if err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// loggers are what the listeners and the client log to. Unless verbose the
// client logs nothing: that it cannot reach the origin, the status says better.
func loggers(to io.Writer, verbose bool) (own, clients *slog.Logger) {
	if verbose {
		all := slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: slog.LevelDebug}))
		return all, all
	}
	return slog.New(slog.NewTextHandler(to, nil)), slog.New(slog.DiscardHandler)
}

func (n *NearEnd) listen(ctx context.Context, o *Options) error {
	if err := n.listenForOne(ctx, o); err != nil {
		return err
	}
	for _, address := range o.Also {
		if err := n.add(ctx, "--also", address, forMore); err != nil {
			return err
		}
	}
	return nil
}

// listenForOne opens the listeners of each kind of which there is one.
func (n *NearEnd) listenForOne(ctx context.Context, o *Options) error {
	if o.Web != "" {
		if err := n.add(ctx, "--web", o.Web, forWeb); err != nil {
			return err
		}
	}
	if o.Raw != "" {
		if err := n.add(ctx, "--raw-chat", o.Raw, forRaw); err != nil {
			return err
		}
		if o.Chat == "" && o.Media == "" {
			return nil
		}
	}
	chat, media := o.forApp()
	if err := n.add(ctx, "--chat", chat, forApp); err != nil {
		return err
	}
	if media == chat && !anyPort(media) {
		return nil
	}
	return n.add(ctx, "--media", media, forApp)
}

func (n *NearEnd) add(ctx context.Context, flag, address string, kind kind) error {
	ln, err := listener.Listen(ctx, address)
	switch {
	case listener.IsElsewhere(err): // perhaps it has not come up yet: whoever started us may try again
		return fmt.Errorf("%w; %s chooses another address", err, flag)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w; %s chooses another address, ports from 1024 on need no privileges", err, flag)
	case err != nil:
		return fmt.Errorf("%w; %s chooses another address, port 0 any free one", err, flag)
	}
	n.listeners = append(n.listeners, port{ln, kind})
	return nil
}

// Close stops listening. Serve does it, too, at its end.
func (n *NearEnd) Close() {
	for _, l := range n.listeners {
		l.Close()
	}
}

// Serve carries the app's connections until ctx ends, and returns nil then, or
// until a listener fails. It is called once.
func (n *NearEnd) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	group.Go(func() { n.Client.Run(ctx) })
	if n.keep != "" {
		group.Go(func() { n.answer(ctx) })
	}
	carry := func(conn net.Conn, s wire.Service, first []byte) { n.Client.Carry(conn, s, first) }
	for _, l := range n.listeners {
		app := listener.Listener{Raw: l.kind == forRaw, Web: l.kind == forWeb, Script: n.App.script, Host: n.App.Host, Page: n.page, Log: n.log, Carry: carry}
		group.Go(func() {
			if err := app.Serve(ctx, l.Listener); err != nil {
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

// Addresses are those of the listeners: for chat, then for media unless it has
// the same.
func (n *NearEnd) Addresses() (all []string) {
	for _, l := range n.listeners {
		if l.kind != forWeb {
			all = append(all, l.Addr().String())
		}
	}
	return all
}

// Traffic is what the app has sent and received so far.
func (n *NearEnd) Traffic() Traffic {
	s := n.Client.Status()
	return Traffic{s.Sent, s.Received}
}
