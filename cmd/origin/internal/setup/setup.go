package setup

import (
	"context"
	"crypto/sha256"
	_ "embed" // the unit
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/secret"
	"culvert/internal/term"
)

//go:embed culvert-origin@.service
var unitText string

// userText has systemd make the service's user.
const userText = "# Written by culvert-origin setup.\nu culvert - \"Culvert origin\"\n"

const setupAbout = `
Makes this machine an origin that clients reach at once: program, user, a service
of systemd's that survives reboots, the master secret, a certificate, and the first
link with its QR code. Run it again after a failure, or with other flags: it does
what is not done yet, and keeps secret and links. Without --name, --address or
--front links go on naming what they name.

With --name, a name that leads to this machine, Let's Encrypt signs the certificate,
whose terms you agree to by that; port 443 must be reachable. Without, the machine is
its address, and the link names the certificate itself. A name is better: whoever
watches sees an ordinary website. With --front links lead to a CDN or an edge that
you have put before this machine.

Examples:
  culvert-origin setup --name origin.example
  culvert-origin setup --dry-run
  culvert-origin setup --front wss://d111111abcdef8.cloudfront.net/ --plain --port 80`

// options are the command line of setup.
type options struct {
	flags   *term.Flags
	name    string
	address string
	port    int
	fronts  []string
	plain   bool
	dry     bool
	qrFile  string
	acme    string
}

func runSetup(ctx context.Context, args []string, stdout, _ io.Writer) error {
	o := &options{flags: term.NewFlags("culvert-origin setup", "[--name NAME | --address IP] [flags]", setupAbout)}
	o.flags.StringVar(&o.name, "name", "", "`NAME` that leads to this machine, for a certificate of Let's Encrypt's")
	o.flags.StringVar(&o.address, "address", "", "`IP` at which the internet reaches this machine, if that is none of its own")
	o.flags.IntVar(&o.port, "port", 443, "`PORT` to listen at; with --name, port 443 must lead here")
	o.flags.Texts(&o.fronts, "front", "`URL` of a CDN or an edge before this machine, as for culvert link new; may be repeated")
	o.flags.BoolVar(&o.plain, "plain", false, "speak plain HTTP, as to a CDN that wants it; let nobody but the CDN reach the port")
	o.flags.StringVar(&o.qrFile, "qr-file", "", "`FILE` that gets a picture of the first link's QR code; its name ends in .png or .svg")
	o.flags.StringVar(&o.acme, "acme", "", "`URL` of another authority's directory than Let's Encrypt's, by ACME")
	o.flags.BoolVar(&o.dry, "dry-run", false, "print what would be done, and do nothing")
	if err := o.flags.ParseNone(args, stdout); err != nil {
		return err
	}
	h, err := thisHost()
	if err != nil {
		return err
	}
	return h.setup(ctx, o, term.NewConsole(stdout))
}

// step is a part of what setup does. It is done once, whatever comes between.
type step struct {
	what string
	done func() bool
	do   func(context.Context) error
}

func (h *host) setup(ctx context.Context, o *options, out *term.Console) error {
	if err := o.check(); err != nil {
		return err
	}
	if err := h.check(ctx); err != nil {
		return err
	}
	p, err := h.plan(o)
	if err != nil {
		return err
	}
	for _, s := range p.steps() {
		if s.done() {
			out.Step(term.Skipped, 0, "%s: done before", s.what)
			continue
		}
		if o.dry {
			fmt.Fprintf(out, "  would do: %s\n", s.what)
			continue
		}
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("%s: %w. Run the same command again when that is corrected: it goes on from here", s.what, err)
		}
		out.Step(term.Good, 0, "%s", s.what)
	}
	for _, hint := range p.hints(ctx) {
		out.Step(term.Warned, 0, "%s", hint)
	}
	if o.dry {
		fmt.Fprintln(out, "Nothing was changed.")
		return nil
	}
	return p.finish(ctx, out)
}

func (o *options) check() error {
	switch {
	case o.name != "" && o.address != "":
		return o.flags.Wrong("--name and --address exclude each other: with a name the address is looked up")
	case o.name != "" && o.plain:
		return o.flags.Wrong("--name is for a certificate, which --plain has no use for: give one of them")
	case o.plain && len(o.fronts) == 0:
		return o.flags.Wrong("--plain wants --front: what speaks TLS to users?")
	case o.port < 1 || o.port > 65535:
		return o.flags.Wrong("--port is between 1 and 65535")
	case o.qrFile != "" && !term.IsPicture(o.qrFile):
		return o.flags.Wrong("--qr-file makes a picture, and its name ends in .png or .svg")
	case o.acme != "" && o.name == "":
		return o.flags.Wrong("--acme wants --name: for which name is the certificate?")
	}
	for i, f := range o.fronts {
		if _, err := link.ParseFront(f); err != nil {
			return o.flags.Wrong("--front, number %d of %d: %v", i+1, len(o.fronts), err)
		}
	}
	return nil
}

// plan is what an installation is to be.
type plan struct {
	*host
	options  *options
	settings values
	port     int    // where the instance tells of its health
	listen   string // CULVERT_LISTEN
	at       string // what links name: a name, or an address
	isKept   bool   // that is the address of the time before
	began    time.Time
}

func (p *plan) steps() []step {
	service := unit(p.port)
	start := func(ctx context.Context) error {
		if _, err := p.run(ctx, "systemctl", "daemon-reload"); err != nil {
			return err
		}
		if _, err := p.run(ctx, "systemctl", "enable", service); err != nil {
			return err
		}
		if _, err := p.run(ctx, "systemctl", "restart", service); err != nil {
			return err
		}
		if err := p.awaitHealth(ctx, p.port); err != nil {
			return err
		}
		return p.write(runsFile, runsBy(p.settings), 0o644)
	}
	return []step{
		{"folders that the service may enter: " + folder + ", " + programs, p.hasFolders, p.makeFolders},
		{"program: " + programOf(p.port), func() bool { return p.exists(programOf(p.port)) }, func(context.Context) error { return p.install(p.port) }},
		{"command: " + command, func() bool { return p.current() == p.port }, func(context.Context) error { return p.point(p.port) }},
		{"user: culvert, which owns nothing", func() bool { return p.read(userFile) == userText && p.hasUser() }, p.makeUser},
		{"secret: " + secretFile + ", for root alone", func() bool { return p.exists(secretFile) }, p.makeSecret},
		{"certificate that nobody has signed: " + certFile, func() bool { return p.exists(certFile) && p.exists(keyFile) }, p.makeCertificate},
		{"settings: " + settings, func() bool { return p.read(settings) == string(p.settings) && p.exists(revokedFile) }, p.writeSettings},
		{"what links name: " + frontFile, p.hasFronts, p.writeFronts},
		{"service: " + unitFile, func() bool { return p.read(unitFile) == unitText }, func(context.Context) error { return p.write(unitFile, unitText, 0o644) }},
		{"start " + service + ", now and at every boot", func() bool { return p.read(runsFile) == runsBy(p.settings) && p.isUp() }, start},
	}
}

func (p *plan) hasFolders() bool {
	return !slices.ContainsFunc([]string{folder, programs, filepath.Dir(programOf(p.port))}, func(name string) bool {
		info, err := os.Stat(p.path(name))
		return err != nil || info.Mode().Perm()&0o755 != 0o755
	})
}

func (p *plan) makeFolders(context.Context) error {
	return errors.Join(p.makeFolder(folder), p.makeFolder(programs), p.makeFolder(filepath.Dir(programOf(p.port))))
}

// runsBy tells what the service runs by from what it ran by before.
func runsBy(v values) string {
	return fmt.Sprintf("%x\n", sha256.Sum256([]byte(string(v)+unitText)))
}

// hasUser reports whether the service's user exists.
func (p *plan) hasUser() bool { return strings.Contains("\n"+p.read("/etc/passwd"), "\nculvert:") }

func (p *plan) makeUser(ctx context.Context) error {
	if err := p.write(userFile, userText, 0o644); err != nil {
		return err
	}
	_, err := p.run(ctx, "systemd-sysusers", userFile)
	return err
}

func (p *plan) makeSecret(context.Context) error {
	return p.write(secretFile, seal.NewMaster().Text()+"\n", 0o600)
}

func (p *plan) writeSettings(context.Context) error {
	if !p.exists(revokedFile) {
		if err := p.write(revokedFile, "# Numbers of users whose links are void, one a line.\n", 0o644); err != nil {
			return err
		}
	}
	return p.write(settings, string(p.settings), 0o644)
}

// isUp reports whether the instance runs now and will after a boot.
func (p *plan) isUp() bool {
	_, enabled := p.run(context.Background(), "systemctl", "is-enabled", "--quiet", unit(p.port))
	return enabled == nil && p.health(context.Background(), p.port) == nil
}

// finish waits for the certificate, and hands out the first link.
func (p *plan) finish(ctx context.Context, out *term.Console) error {
	if p.options.name != "" {
		if err := p.awaitCertificate(ctx, out); err != nil {
			return err
		}
	}
	l, err := p.linkFor(1)
	if err != nil {
		return err
	}
	if p.read(usersFile) == "" {
		if err := p.write(usersFile, "1\n", 0o644); err != nil {
			return err
		}
	}
	out.Title("The first link, for one person")
	if err := handOut(out, l, p.options.qrFile); err != nil {
		return err
	}
	fmt.Fprint(out, "\nWhoever holds it uses this server: hand it on in private. Another for each other person:\n  culvert-origin link\n"+
		"A copy of what must not be lost, to keep elsewhere:\n  culvert-origin backup FILE\n")
	return nil
}

// handOut shows a link with its QR code.
func handOut(out *term.Console, l *link.Link, qrFile string) error {
	if qrFile != "" {
		picture, err := term.QRPicture(qrFile, l.QR())
		if err == nil {
			err = secret.Write(qrFile, picture, 0o600)
		}
		if err != nil {
			return fmt.Errorf("write QR code: %w", err)
		}
	}
	fmt.Fprintln(out, l)
	return out.QR(l.QR(), "Or have a picture of it with --qr-file link.png.")
}

// errNotSetUp is for commands that need an installation.
var errNotSetUp = errors.New("there is no origin on this machine yet: begin with culvert-origin setup")
