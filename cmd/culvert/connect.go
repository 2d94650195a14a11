package main

import (
	"context"
	"io"
	"os"
	"runtime/debug"

	"culvert/client/nearend"
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
	flags *term.Flags
	link  *linkSource
	near  nearend.Options
	qr    bool
}

func newConnectOptions() *connectOptions {
	f := term.NewFlags("culvert connect", "LINK [flags]", connectAbout)
	o := &connectOptions{flags: f, link: linkFlag(f)}
	o.near.AddFlags(f)
	f.StringVar(&o.near.Raw, "raw-chat", "", "`ADDR`, host:port, that takes every connection for chat; alone, it is the only one")
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
	near, err := nearend.Open(ctx, l, o.near, out.Beside(stderr))
	if err != nil {
		return err
	}
	if err := near.App.Print(out, o.qr || o.near.LAN && out.Live()); err != nil {
		near.Close()
		return err
	}
	return near.Run(ctx, out)
}

// frugal halves the garbage that waits to be collected: most of a client's
// memory is what idle connections hold, and half of that again was garbage.
func frugal() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}
