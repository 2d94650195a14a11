package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"

	"culvert/client"
	"culvert/client/listener"
	"culvert/internal/link"
	"culvert/internal/term"
	"culvert/internal/whatsapp"
	"culvert/internal/wire"
)

// nearOptions say where the app's connections are taken.
type nearOptions struct {
	chat, media, raw string
	lan              bool
	host             string // what phones dial; empty: found out
	verbose          bool
}

// nearFlags adds the flags that "connect" and "up" share.
func nearFlags(f *term.Flags) *nearOptions {
	o := &nearOptions{}
	f.StringVar(&o.chat, "chat", "", "`ADDR`, host:port, that serves chat (default 127.0.0.1:5222)")
	f.StringVar(&o.media, "media", "", "`ADDR`, host:port, that serves media (default 127.0.0.1:7777)")
	f.BoolVar(&o.lan, "lan", false, "let phones on the same network in")
	f.StringVar(&o.host, "host", "", "`NAME` or IPv4 address by which phones reach this machine, if culvert finds a wrong one")
	f.BoolVar(&o.verbose, "verbose", false, "log every connection that ends")
	return o
}

// chatAddress and mediaAddress are what is listened on unless told otherwise.
func (o *nearOptions) chatAddress() string {
	return orDefault(o.chat, listener.Address(o.lan, listener.DefaultChatPort))
}

func (o *nearOptions) mediaAddress() string {
	return orDefault(o.media, listener.Address(o.lan, listener.DefaultMediaPort))
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// nearEnd is a client and its listeners.
type nearEnd struct {
	client    *client.Client
	log       *slog.Logger
	listeners []nearListener
	fronts    int
	app       appSettings
}

type nearListener struct {
	net.Listener
	raw bool
}

// openNearEnd listens; nothing is served before serve is called. Who does not
// call it calls close.
func openNearEnd(ctx context.Context, l *link.Link, o *nearOptions, logs io.Writer) (*nearEnd, error) {
	n := &nearEnd{log: logger(logs, o.verbose), fronts: len(l.Fronts)}
	var err error
	n.client, err = client.New(client.Config{Link: l, Log: quiet(n.log, o.verbose)})
	if err != nil {
		return nil, err
	}
	if err := n.listen(ctx, o); err != nil {
		n.close()
		return nil, err
	}
	if n.app, err = settingsFor(o, n.listeners); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func logger(to io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: level}))
}

// quiet is what the client logs to: that it cannot reach the origin, the
// status says better.
func quiet(log *slog.Logger, verbose bool) *slog.Logger {
	if verbose {
		return log
	}
	return slog.New(slog.DiscardHandler)
}

func (n *nearEnd) listen(ctx context.Context, o *nearOptions) error {
	if o.raw != "" {
		if err := n.add(ctx, "--raw-chat", o.raw, true); err != nil {
			return err
		}
		if o.chat == "" && o.media == "" {
			return nil
		}
	}
	if err := n.add(ctx, "--chat", o.chatAddress(), false); err != nil {
		return err
	}
	if o.mediaAddress() == o.chatAddress() && !anyPort(o.mediaAddress()) {
		return nil
	}
	return n.add(ctx, "--media", o.mediaAddress(), false)
}

// anyPort says whether the system chooses the port: each time another.
func anyPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	return err == nil && (port == "0" || port == "")
}

func (n *nearEnd) add(ctx context.Context, flag, address string, raw bool) error {
	ln, err := listener.Listen(ctx, address)
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w; %s chooses another address, ports from 1024 on need no privileges", err, flag)
	}
	if err != nil {
		return fmt.Errorf("%w; %s chooses another address, port 0 any free one", err, flag)
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
		apps := listener.Listener{Raw: l.raw, Log: n.log, IsMedia: whatsapp.IsMediaHost,
			Carry: func(conn net.Conn, s wire.Service, first []byte) { n.client.Carry(conn, s, first) }}
		group.Go(func() {
			if err := apps.Serve(ctx, l.Listener); err != nil {
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

// dialChat and dialMedia open a connection as the app does.
func (n *nearEnd) dialChat(ctx context.Context) (net.Conn, error) { return n.dialPort(ctx, n.app.chat) }
func (n *nearEnd) dialMedia(ctx context.Context) (net.Conn, error) {
	return n.dialPort(ctx, n.app.media)
}

func (n *nearEnd) dialPort(ctx context.Context, port uint16) (net.Conn, error) {
	for _, l := range n.listeners {
		at := l.Addr().(*net.TCPAddr)
		if l.raw || at.Port != int(port) {
			continue
		}
		ip := at.IP
		if ip.IsUnspecified() {
			ip = net.IPv4(127, 0, 0, 1)
		}
		var d net.Dialer
		return d.DialContext(ctx, "tcp", net.JoinHostPort(ip.String(), fmt.Sprint(port)))
	}
	return nil, errors.New("there is no such listener")
}

// addresses are those of the listeners, for people.
func (n *nearEnd) addresses() string {
	var all []string
	for _, l := range n.listeners {
		all = append(all, l.Addr().String())
	}
	return strings.Join(all, " and ")
}

// traffic is what the app has sent and received so far.
func (n *nearEnd) traffic() traffic {
	s := n.client.Status()
	return traffic{s.Sent, s.Received}
}
