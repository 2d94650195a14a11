package main

import (
	"context"
	"io"
	"os"
	"runtime/debug"

	"culvert/client/nearend"
	"culvert/internal/lang"
	"culvert/internal/term"
)

const connectAbout = `
Takes the app's connections and carries them to the origin that the link leads
to. Point WhatsApp at it: Settings, Storage and data, Proxy; host, chat port and
media port as printed, TLS off. Every port serves chat and media alike.

It listens for programs of this machine only, unless --lan is given; then it
also draws a QR code that sets the app. It runs until it is interrupted and goes
on trying when there is no way through. culvert doctor says where it ends.

WhatsApp Web and Desktop use it as a proxy, SOCKS5 or HTTP, at --web ADDR: for WhatsApp's
names alone, which the origin resolves. --browser opens WhatsApp Web in a browser, with a
profile of its own, that cannot reach anything else, and nothing without Culvert.

Where only a proxy leads out, HTTPS_PROXY or ALL_PROXY name it, and NO_PROXY what
is reached without it; --via URL comes before them. A password is safer there than
in --via, which other users of this machine can see.

Where the network's answer to a front's name fails, or leads to somebody else, the
name is asked of resolvers over HTTPS: those of the link and well-known ones, or
those of --resolver alone. They, and nobody on the way, see which front is meant.

Connections begin as a browser's do. Which browser's the client chooses and keeps to, and
another's follows where that is not let through; --look names one. The page of a front is
asked for before the first WebSocket there, and now and then; --visit no asks for none.

What it learns of a network, such as which front works or how many bytes a connection
may bring, is kept in --state DIR, without names and addresses.

Without --link-file it asks for the link, which is not shown. A link is a secret: on a
command line every program of this machine could read it.

Examples:
  culvert connect
  culvert connect --link-file link --lan
  culvert connect --link-file link --browser`

// connectOptions is the command line of "culvert connect".
type connectOptions struct {
	nearend.Options
	flags     *term.Flags
	link      *linkSource
	dialing   *dialerSource
	language  *lang.Language
	visits    string
	qr, opens bool
}

// connectFlags are those of the named command, which starts a client or has one started.
func connectFlags(name, usage, about string) *connectOptions {
	f := term.NewFlags(name, usage, about)
	o := &connectOptions{flags: f, link: linkFlag(f), dialing: dialerFlags(f), language: languageFlag(f)}
	o.AddFlags(f)
	f.StringVar(&o.Raw, "raw-chat", "", "`ADDR`, host:port, that takes every connection for chat; alone, it is the only one")
	f.Float64Var(&o.DialRate, "dial-rate", 1, "connections a `SECOND` that media may begin where a network lets each bring little; many are easily seen")
	f.StringVar(&o.visits, "visit", "yes", "`YES|NO`: ask for the page of a front, as a browser would, before the first WebSocket there and now and then")
	return o
}

// check says what is wrong with the flags.
func (o *connectOptions) check() error {
	if err := o.Check(); err != nil {
		return o.flags.Wrong("%v", err)
	}
	if !(o.DialRate > 0 && o.DialRate <= 100) { // not a number is neither
		return o.flags.Wrong("--dial-rate is more than 0 and at most 100")
	}
	if o.Visit = o.visits == "yes"; !o.Visit && o.visits != "no" {
		return o.flags.Wrong("--visit is yes or no")
	}
	return nil
}

func runConnect(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := connectFlags("culvert connect", "[--link-file FILE] [flags]", connectAbout)
	f := o.flags
	f.StringVar(&o.Keep, "state", stateDir(), "`DIR` for what is learned of networks, such as how many bytes a connection may bring, or none")
	f.BoolVar(&o.qr, "qr", false, "draw the QR code in any case")
	f.BoolVar(&o.opens, "browser", false, "open WhatsApp Web in a browser that goes by Culvert with all that it asks for")
	rest, err := f.ParseAll(args, stdout)
	if err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	own, err := o.link.read(ctx, rest, *o.language, os.Stdin, stderr)
	if err != nil {
		return err
	}
	if o.Dialer, err = o.dialing.dialer(own); err != nil {
		return err
	}
	if o.Keep == noState {
		o.Keep = ""
	}
	o.Web = webAddress(o.Web, o.opens)
	frugal()
	out := term.NewConsole(stdout).In(*o.language)
	near, err := nearend.Open(ctx, own, o.Options, out.Beside(stderr))
	if err != nil {
		return err
	}
	if err := near.App.Print(out, o.qr || o.LAN && out.Live()); err != nil {
		near.Close()
		return err
	}
	if o.opens {
		end, err := openBrowser(ctx, near.App.Web(), o.Keep, out.Beside(stderr))
		if err != nil {
			near.Close()
			return err
		}
		defer end()
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
