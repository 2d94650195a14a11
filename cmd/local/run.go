package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"culvert/client/doctor"
	"culvert/client/nearend"
	"culvert/internal/seal"
	"culvert/internal/term"
	"culvert/internal/whatsapp"
	"culvert/test/demo"
	"culvert/test/local"
)

const runAbout = `
Runs the whole relay on this machine, in one process: origin, edge and client,
each on a listener of its own, with a secret, a certificate and a link made at
start. It proves that WhatsApp answers through the relay and prints what to
enter into the app. It runs until it is interrupted.

Apps of this machine alone can use it; with --lan, phones on the same network
can, and a QR code sets them. Everyone on that network can use it then.

Where WhatsApp is not reached, a stand-in that is made at start takes its place,
shows what the relay does, as local demo does, and it ends with 0. With
--upstream=whatsapp it ends with 1 instead. With --upstream=stand-in WhatsApp is
not asked: the relay runs with the stand-in until it is interrupted.

With --door=gateway carriers go through Amazon API Gateway and its functions, as
an emulator in this process has them, and not straight to the origin. What AWS
would charge is shown at the end.

With --worker=PROGRAM, which is workerd, the edge is the Cloudflare Worker of
edge/worker; "make worker" installs that program. The link is printed.

Examples:
  local run --lan
  local run --upstream=stand-in --save try`

const demoAbout = `
Runs the whole relay on this machine with a stand-in for WhatsApp, without
internet, and shows what it does, cutting every connection between client and
edge on the way. It takes any free ports, and ends: with 0 if all bytes were
right, else with 1.

With --door=gateway carriers go through Amazon API Gateway and its functions, as
an emulator in this process has them. What AWS would charge is shown at the end.

Examples:
  local demo
  local demo --door=gateway`

// upstream is where the origin connects.
type upstream string

const (
	whatsApp         upstream = "whatsapp"
	standIn          upstream = "stand-in" // what replaces WhatsApp
	whicheverAnswers upstream = ""         // WhatsApp, or else the stand-in
)

// proofLimit is how long WhatsApp's answers are waited for: longer than anyone's
// TLS takes, and short enough to sit through.
const proofLimit = 7 * time.Second

// options are the command line of "local run" and "local demo".
type options struct {
	flags    *term.Flags
	ports    nearend.Options // where the app's connections are taken
	upstream upstream
	door     string
	worker   string
	save     string

	demo  bool          // show what the relay does, and end
	size  int64         // bytes of media that the demonstration moves each way; 0: as many as usual
	limit time.Duration // for WhatsApp's answers
}

func newRunOptions() *options {
	o := newOptions(term.NewFlags("local run", "[flags]", runAbout))
	o.ports.AddFlags(o.flags)
	o.flags.StringVar((*string)(&o.upstream), "upstream", string(whicheverAnswers), "`WHERE` the origin connects to: whatsapp or stand-in; unless given, WhatsApp if it is reached")
	o.flags.StringVar(&o.save, "save", "", "`DIR` to write the link to, and the stand-in's keys: for doctor and other programs")
	return o
}

// newDemoOptions has no flags for ports, nor for what lives as long as the
// process: no app is pointed at a demonstration.
func newDemoOptions() *options {
	o := newOptions(term.NewFlags("local demo", "[flags]", demoAbout))
	o.demo, o.upstream, o.ports = true, standIn, nearend.AnyPorts
	o.flags.BoolVar(&o.ports.Verbose, "verbose", false, "log every connection that ends")
	return o
}

func newOptions(f *term.Flags) *options {
	o := &options{flags: f, limit: proofLimit}
	f.StringVar(&o.door, "door", "stream", "`DOOR` that carriers go through: stream or gateway")
	f.StringVar(&o.worker, "worker", "", "`PROGRAM` that runs the edge as a Cloudflare Worker: workerd")
	return o
}

func (o *options) parse(args []string, stdout io.Writer) error {
	if err := o.flags.ParseNone(args, stdout); err != nil {
		return err
	}
	if o.upstream != whatsApp && o.upstream != standIn && o.flags.Given("upstream") {
		return o.flags.Wrong("--upstream is whatsapp or stand-in")
	}
	if o.door != "stream" && o.door != "gateway" {
		return o.flags.Wrong("--door is stream or gateway")
	}
	if o.door == "gateway" && o.worker != "" {
		return o.flags.Wrong("--worker is an edge of the stream door: leave --door away")
	}
	return nil
}

// withArgs is a command that reads its options from args, and runs.
func withArgs(newOptions func() *options) func(context.Context, []string, io.Writer, io.Writer) error {
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		o := newOptions()
		if err := o.parse(args, stdout); err != nil {
			return err
		}
		return o.run(ctx, new(whatsapp.Upstream), stdout, stderr)
	}
}

// run is the command. The origin connects to u unless a stand-in takes its place.
func (o *options) run(ctx context.Context, u *whatsapp.Upstream, stdout, stderr io.Writer) error {
	out := term.NewConsole(stdout)
	r := &relay{options: o, out: out, logs: out.Beside(stderr)}
	err := r.run(ctx, u)
	var unreached *notReachedError
	switch {
	case !errors.As(err, &unreached) || o.upstream == standIn:
		return err
	case o.upstream == whatsApp:
		return errNoWhatsApp
	}
	return r.showStandIn(ctx)
}

// errNoWhatsApp ends the command where WhatsApp is wanted and does not answer.
var errNoWhatsApp = errors.New("WhatsApp cannot be reached from this machine; to try Culvert without it, run:\n  bin/local run --upstream=stand-in")

// showStandIn runs everything once more, with a stand-in, to show what would
// work if WhatsApp were reached.
func (r *relay) showStandIn(ctx context.Context) error {
	r.out.Title("WhatsApp is not reached from here: a stand-in takes its place")
	instead := newDemoOptions()
	instead.door, instead.worker, instead.size, instead.limit, instead.ports.Verbose = r.door, r.worker, r.size, r.limit, r.ports.Verbose
	if err := (&relay{options: instead, out: r.out, logs: r.logs}).run(ctx, new(whatsapp.Upstream)); err != nil {
		return err
	}
	r.out.Title("What next")
	r.out.Step(term.Warned, 0, "All of this was with the stand-in. WhatsApp was not reached.")
	r.out.Hint("Connect this machine to the internet and run it again:\n  make run\n" +
		"If this network blocks WhatsApp, the origin belongs on a machine elsewhere, such as one of your AWS account:\n  make deploy")
	return nil
}

// relay is one run of the whole relay, told to a person.
type relay struct {
	*options
	*local.Relay
	out  *term.Console
	logs io.Writer
}

// run runs the relay until ctx ends, a part of it fails or the demonstration is
// over.
func (r *relay) run(ctx context.Context, u *whatsapp.Upstream) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.Relay = &local.Relay{Failed: cancel, Upstream: u, Trust: doctor.Genuine()}
	err := r.all(ctx)
	r.Close()
	if r.Gateway != nil && err == nil {
		r.out.Title("What AWS would have charged for this, with nothing free")
		err = r.Gateway.Bill(r.out)
	}
	switch cause := context.Cause(ctx); {
	case cause == nil || r.demo: // a demonstration that was interrupted has shown nothing
		return err
	case !errors.Is(cause, context.Canceled):
		return cause
	}
	fmt.Fprintln(r.out, "Stopped.")
	return nil
}

// all is everything that a run does, one after another.
func (r *relay) all(ctx context.Context) error {
	if err := r.start(ctx); err != nil {
		return err
	}
	if err := r.connect(ctx); err != nil {
		return err
	}
	if r.save != "" {
		if err := r.saveFiles(r.save); err != nil {
			return err
		}
	}
	if err := r.proveWhatsApp(ctx); err != nil {
		return err
	}
	if r.demo {
		return (&demo.Demo{Relay: r.Relay, Out: r.out, Size: r.size}).Run(ctx)
	}
	fmt.Fprintln(r.out)
	if err := r.tellPorts(); err != nil {
		return err
	}
	fmt.Fprint(r.out, "\nCtrl-C ends it.\n")
	w := nearend.Watcher{Out: r.out, Status: r.Near.Client.Status, Traffic: r.Traffic, Opened: r.Opened}
	w.Watch(ctx, true)
	return nil
}

// start starts the parts, from WhatsApp's side to the app's.
func (r *relay) start(ctx context.Context) error {
	r.out.Title("Starting the relay on this machine")
	master, err := r.chooseEdge(seal.NewMaster())
	if err != nil {
		return err
	}
	if r.upstream == standIn {
		begin := time.Now()
		if err := r.StartStandIn(); err != nil {
			return fmt.Errorf("start stand-in: %w", err)
		}
		r.out.Step(term.Warned, time.Since(begin), "A stand-in takes WhatsApp's place: no message goes anywhere")
	}
	begin := time.Now()
	if err := r.StartOrigin(master); err != nil {
		return fmt.Errorf("start origin: %w", err)
	}
	r.out.Step(term.Good, time.Since(begin), "Origin on %s, with a new master secret", r.OriginAt)
	begin = time.Now()
	if err := r.StartEdge(master); err != nil {
		return fmt.Errorf("start edge: %w", err)
	}
	r.out.Step(term.Good, time.Since(begin), "%s on %s, with a new certificate, pinned in a link", r.edgeName(), r.EdgeAt)
	if r.Worker != nil {
		r.out.Hint("%s", r.Link)
	}
	begin = time.Now()
	if err := r.OpenNear(ctx, r.ports, r.logs); err != nil {
		return fmt.Errorf("start client: %w", err)
	}
	r.out.Step(term.Good, time.Since(begin), "Client for the app on %s", strings.Join(r.Near.Addresses(), " and "))
	return nil
}

// chooseEdge makes what takes the place of the usual edge, and returns the master secret for its gate.
func (r *relay) chooseEdge(master seal.Master) (seal.Master, error) {
	var err error
	switch {
	case r.door == "gateway":
		if r.Gateway, err = local.NewGateway(); err != nil {
			return master, fmt.Errorf("start gateway: %w", err)
		}
	case r.worker != "":
		if r.Worker, err = local.NewWorker(r.worker); err != nil {
			return master, fmt.Errorf("start worker: %w", err)
		}
		master = r.Worker.Master(master)
	}
	return master, nil
}

func (r *relay) edgeName() string {
	if r.Gateway != nil {
		return "API Gateway and functions, emulated,"
	}
	if r.Worker != nil {
		return "Cloudflare Worker in workerd, TLS"
	}
	return "Edge"
}

// connect lets the client find its way.
func (r *relay) connect(ctx context.Context) error {
	begin := time.Now()
	rtt, err := r.Connect(ctx)
	if err != nil {
		return err
	}
	r.out.Step(term.Good, time.Since(begin), "Client to edge to origin by TLS and WebSocket, round trip %s", term.Took(rtt))
	return nil
}

// tellPorts says what the app needs. It cannot log in to a stand-in.
func (r *relay) tellPorts() error {
	if r.StandIn() == nil {
		return r.Near.App.Print(r.out, r.ports.LAN)
	}
	a := r.Near.App
	r.out.Say("The stand-in answers through %s, chat port %d, media port %d.", a.Host, a.Chat, a.Media)
	r.out.Say("WhatsApp's app cannot log in to it; without --upstream it can.")
	a.TellWeb(r.out)
	return nil
}
