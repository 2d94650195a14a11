package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"culvert/internal/term"
)

const connectAbout = `
Takes the app's connections and carries them to the origin that the link leads
to. Point WhatsApp at it: Settings, Storage and data, Proxy; host, chat port and
media port as printed, TLS off. Every port serves chat and media alike.

It listens for programs of this machine only, unless --lan is given; then it
also draws a QR code that sets the app. It runs until it is interrupted and goes
on trying when there is no way through. culvert doctor says where it ends.

Examples:
  culvert connect culvert:…
  culvert connect --link-file link --lan`

// connectOptions is the command line of "culvert connect".
type connectOptions struct {
	*nearOptions
	flags *term.Flags
	link  *linkSource
	qr    bool
}

func newConnectOptions() *connectOptions {
	f := term.NewFlags("culvert connect", "LINK [flags]", connectAbout)
	o := &connectOptions{flags: f, link: linkFlag(f), nearOptions: nearFlags(f)}
	f.StringVar(&o.raw, "raw-chat", "", "`ADDR`, host:port, that takes every connection for chat; alone, it is the only one")
	f.BoolVar(&o.qr, "qr", false, "draw the QR code in any case")
	return o
}

func runConnect(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := newConnectOptions()
	rest, err := o.flags.ParseAll(args, stdout)
	if err != nil {
		return err
	}
	l, err := o.link.read(rest, os.Stdin)
	if err != nil {
		return err
	}
	frugal()
	out := term.NewConsole(stdout)
	near, err := openNearEnd(ctx, l, o.nearOptions, out.Beside(stderr))
	if err != nil {
		return err
	}
	if err := near.app.print(out, o.qr || o.lan && out.Live()); err != nil {
		near.close()
		return err
	}
	return near.run(ctx, out)
}

// frugal halves the garbage that waits to be collected: most of a client's
// memory is what idle connections hold, and half of that again was garbage.
func frugal() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

// patience is how long the first connection may take before we say that there
// is none yet.
const patience = 5 * time.Second

// run serves, and tells how it goes.
func (n *nearEnd) run(ctx context.Context, out *term.Console) error {
	return n.runFor(ctx, out, patience)
}

func (n *nearEnd) runFor(ctx context.Context, out *term.Console, patience time.Duration) error {
	served := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { defer stop(); served <- n.serve(ctx) }()
	connected := n.greet(ctx, out, patience)
	w := watcher{out: out, status: n.client.Status, traffic: n.traffic, fronts: n.fronts}
	w.watch(ctx, connected)
	err := <-served
	if err == nil {
		fmt.Fprintln(out, "Stopped.")
	}
	return err
}

// greet waits for the first connection, but not for long.
func (n *nearEnd) greet(ctx context.Context, out *term.Console, patience time.Duration) bool {
	start := time.Now()
	out.Show("… connecting")
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := n.client.WaitReady(wait)
	switch s := n.client.Status(); {
	case ctx.Err() != nil:
		return false
	case err == nil:
		out.Step(term.Good, time.Since(start), "Connected by front %d", s.Front+1)
		return true
	case s.LastError != nil:
		out.Step(term.Bad, 0, "Not connected yet, and trying on")
		out.Hint("%s", reasonText(s.LastError))
		out.Hint("culvert doctor with the same link says where the way ends.")
	default:
		out.Step(term.Bad, 0, "Not connected after %s, and trying on", term.Took(patience))
	}
	return false
}

// print tells a person what to do, with a QR code if wanted.
func (a appSettings) print(out *term.Console, code bool) error {
	fmt.Fprint(out, a.text())
	link, err := a.link()
	if err != nil || !code {
		return nil
	}
	fmt.Fprintln(out)
	return out.QR(link)
}
