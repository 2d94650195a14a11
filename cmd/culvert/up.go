package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"culvert/internal/seal"
	"culvert/internal/term"
)

const upAbout = `
Runs the whole relay on this machine, in one process: origin, edge and client,
each on a listener of its own, with a secret, a certificate and a link made at
start. It proves that WhatsApp answers through the relay and prints what to
enter into the app. It runs until it is interrupted.

Apps of this machine alone can use it; with --lan, phones on the same network
can, and a QR code sets them. Everyone on that network can use it then.

With --door=gateway carriers go through Amazon API Gateway and its functions, as
an emulator in this process has them, and not straight to the origin. What AWS
would charge is shown at the end.

With --upstream=stand-in it needs no internet: a stand-in, made at start, takes
WhatsApp's place. --demo shows what the relay does with it, cutting every
connection between client and edge on the way, and ends: with 0 if all bytes
were right, else with 1.

Examples:
  culvert up --lan
  culvert up --upstream=stand-in --demo
  culvert up --upstream=stand-in --save try`

// upOptions is the command line of "culvert up".
type upOptions struct {
	*nearOptions
	flags    *term.Flags
	upstream string
	door     string
	demo     bool
	save     string
	size     int64         // bytes that a demo moves each way
	limit    time.Duration // for WhatsApp's answers
}

// standIn is the upstream that replaces WhatsApp.
const standIn = "stand-in"

func newUpOptions() *upOptions {
	f := term.NewFlags("culvert up", "[flags]", upAbout)
	o := &upOptions{flags: f, nearOptions: nearFlags(f), size: demoSize, limit: proofLimit}
	f.StringVar(&o.upstream, "upstream", "whatsapp", "`WHERE` the origin connects to: whatsapp or stand-in")
	f.StringVar(&o.door, "door", "stream", "`DOOR` that carriers go through: stream or gateway")
	f.BoolVar(&o.demo, "demo", false, "show what the relay does, with the stand-in, and end; takes any free ports")
	f.StringVar(&o.save, "save", "", "`DIR` to write the link to, and the stand-in's keys: for doctor and other programs")
	return o
}

func (o *upOptions) parse(args []string, stdout io.Writer) error {
	if err := o.flags.ParseNone(args, stdout); err != nil {
		return err
	}
	if o.demo {
		o.upstream, o.chat, o.media = standIn, orDefault(o.chat, "127.0.0.1:0"), orDefault(o.media, "127.0.0.1:0")
	}
	if o.upstream != "whatsapp" && o.upstream != standIn {
		return o.flags.Wrong("--upstream is whatsapp or stand-in")
	}
	if o.door != "stream" && o.door != "gateway" {
		return o.flags.Wrong("--door is stream or gateway")
	}
	return nil
}

func runUp(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := newUpOptions()
	if err := o.parse(args, stdout); err != nil {
		return err
	}
	return o.up(ctx, &localRelay{trust: genuine()}, stdout, stderr)
}

// up runs r until ctx ends or a part of it fails.
func (o *upOptions) up(ctx context.Context, r *localRelay, stdout, stderr io.Writer) error {
	out := term.NewConsole(stdout)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.failed = cancel
	err := o.run(ctx, r, out, out.Beside(stderr))
	r.close()
	if r.gateway != nil && err == nil {
		err = r.gateway.bill(out)
	}
	switch cause := context.Cause(ctx); {
	case cause == nil || o.demo: // a demonstration that was interrupted has shown nothing
		return err
	case !errors.Is(cause, context.Canceled):
		return cause
	}
	fmt.Fprintln(out, "Stopped.")
	return nil
}

// run returns when ctx ends, or before with an error, or when the demo is over.
func (o *upOptions) run(ctx context.Context, r *localRelay, out *term.Console, logs io.Writer) error {
	if err := o.start(ctx, r, out, logs); err != nil {
		return err
	}
	if err := r.connect(ctx, out); err != nil {
		return err
	}
	if o.save != "" {
		if err := r.save(ctx, o.save, out); err != nil {
			return err
		}
	}
	if err := r.proveWhatsApp(ctx, out, o.limit); err != nil {
		return err
	}
	if o.demo {
		return (&demo{relay: r, out: out, size: o.size}).run(ctx)
	}
	fmt.Fprintln(out)
	if err := o.tellPorts(r, out); err != nil {
		return err
	}
	fmt.Fprint(out, "\nCtrl-C ends it.\n")
	w := watcher{out: out, status: r.near.client.Status, traffic: r.traffic, opened: r.opened}
	w.watch(ctx, true)
	return nil
}

// tellPorts says what the app needs. It cannot log in to a stand-in.
func (o *upOptions) tellPorts(r *localRelay, out *term.Console) error {
	if r.standIn == nil {
		return r.near.app.print(out, o.lan)
	}
	a := r.near.app
	_, err := fmt.Fprintf(out, "The stand-in answers through %s, chat port %d, media port %d.\n"+
		"WhatsApp's app cannot log in to it; without --upstream it can.\n", a.host, a.chat, a.media)
	return err
}

// start starts the parts, from WhatsApp's side to the app's.
func (o *upOptions) start(ctx context.Context, r *localRelay, out *term.Console, logs io.Writer) error {
	out.Title("Starting the relay on this machine")
	master := seal.NewMaster()
	if o.door == "gateway" {
		var err error
		if r.gateway, err = newLocalGateway(); err != nil {
			return fmt.Errorf("start gateway: %w", err)
		}
	}
	if o.upstream == standIn {
		begin := time.Now()
		if err := r.startStandIn(); err != nil {
			return fmt.Errorf("start stand-in: %w", err)
		}
		out.Step(term.Warned, time.Since(begin), "A stand-in takes WhatsApp's place: no message goes anywhere")
	}
	begin := time.Now()
	if err := r.startOrigin(master); err != nil {
		return fmt.Errorf("start origin: %w", err)
	}
	out.Step(term.Good, time.Since(begin), "Origin on %s, with a new master secret", r.originAt)
	begin = time.Now()
	if err := r.startEdge(master); err != nil {
		return fmt.Errorf("start edge: %w", err)
	}
	out.Step(term.Good, time.Since(begin), "%s on %s, with a new certificate, pinned in a link", o.edgeName(), r.edgeAt)
	begin = time.Now()
	if err := r.openNear(ctx, o.nearOptions, logs); err != nil {
		return fmt.Errorf("start client: %w", err)
	}
	out.Step(term.Good, time.Since(begin), "Client for the app on %s", r.near.addresses())
	return nil
}

func (o *upOptions) edgeName() string {
	if o.door == "gateway" {
		return "API Gateway and functions, emulated,"
	}
	return "Edge"
}

// connectLimit bounds the way to our own edge and origin.
const connectLimit = 5 * time.Second

// connect lets the client find its way.
func (r *localRelay) connect(ctx context.Context, out *term.Console) error {
	begin := time.Now()
	r.startNear()
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	if err := r.near.client.WaitReady(ctx); err != nil {
		return fmt.Errorf("the client cannot reach the edge or the origin on this machine: %s", reasonText(err))
	}
	took := time.Since(begin)
	rtt := measureRTT(ctx, r.near.client)
	out.Step(term.Good, took, "Client to edge to origin by TLS and WebSocket, round trip %s", term.Took(rtt))
	return nil
}
