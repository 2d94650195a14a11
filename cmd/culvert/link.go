package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"culvert/internal/lang"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/secret"
	"culvert/internal/term"
	"culvert/internal/wire"
)

const linkAbout = `A link is one line of text that a user is handed: the origin's public key, the
user's own keys, and the fronts by which an edge is reached. All links of an
origin are made from its master secret, which stays with the origin.`

var linkProgram = term.Program{
	Name:  "culvert link",
	About: linkAbout,
	Commands: []term.Command{
		{Name: "secret", Summary: "make the master secret of a new origin", Run: linkSecret},
		{Name: "new", Summary: "make a link for one user", Run: linkNew},
		{Name: "show", Summary: "say what is in a link, without its secrets", Run: linkShow},
		{Name: "fronts", Summary: "tell users of fronts that came after their links", Run: frontsProgram.Dispatch},
	},
}

const secretAbout = `
Prints a new master secret, and nothing else. The origin and "culvert link new"
need it; whoever has it can make links and read what the origin reads. Lose it
and every link has to be made anew. A file that it goes to becomes its owner's alone.

Example:
  (umask 077; culvert link secret > secret)`

func linkSecret(_ context.Context, args []string, stdout, _ io.Writer) error {
	if err := term.NewFlags("culvert link secret", "", secretAbout).ParseNone(args, stdout); err != nil {
		return err
	}
	if err := secret.Keep(stdout); err != nil {
		return err
	}
	_, err := fmt.Fprintln(stdout, seal.NewMaster().Text())
	return err
}

const newAbout = `
Prints a link, and nothing else; with --qr a QR code of it follows, if the terminal
shows the whole of it. --qr-file makes a picture of the code, and --invitation a page or a
text for whoever gets the link, in the language of --lang. The link is a secret:
whoever holds it is the user. A file that it goes to becomes its owner's alone. Give
each person a number of their own, so that one link can be revoked alone; without
--user one is drawn that nobody has, and told. The same secret, user and fronts
make the same link again.

A front is wss://HOST:PORT/PATH; the port is 443 and the path / unless given.
What its host does not say rides behind it, in quotes because of the semicolons:
  ;dial=ADDR     where to connect instead, a host or an IP address with or
                 without a port; may be repeated
  ;sni=NAME      the name to send in the clear when TLS begins; none sends none
  ;host=NAME     the host to ask for there; the URL's is then only where to go
  ;verify=NAME   the name that the certificate must be valid for
  ;pin=HEX       SHA-256 of the certificate's public key; may be repeated
  ;door=gateway  it leads to the gateway door: an API Gateway of ours
  ;look=NAME     the browser that connections look like: chromium or firefox
  ;visit=no      asks for no page of the front's before a WebSocket
  ;ech=BASE64    encrypts the name by the ech of its HTTPS record in DNS, and sends it
                 no other way; older clients do not read such a link

A resolver is https://HOST:PORT/PATH with the same options, but for door, visit and ech. It is asked
over HTTPS for the fronts' names where the network's answers fail or are lies, before
well-known ones are.

Where gates have a secret of their own, the link needs it, too: name its file, or
have both in one, "master TEXT" and "gate TEXT" on a line each. Of several
masters or gates the first counts.

Examples:
  (umask 077; culvert link new --secret-file secret --user 1 --front wss://d111111abcdef8.cloudfront.net/ > link)
  (umask 077; culvert link new --secret-file secret --user 2 --invitation invitation.html --lang fa \
    --front wss://d111111abcdef8.cloudfront.net/ > link)
  (umask 077; culvert link new --secret-file secret --user 7 --qr-file link.png \
    --front wss://origin.example:8443/ --pin cert.pem \
    --front 'wss://cdn.example/;host=origin.example;dial=192.0.2.10;sni=none' > link)`

// newOptions is the command line of "culvert link new".
type newOptions struct {
	flags  *term.Flags
	secret string
	gate   string
	fronts []string
	asked  []string // resolvers
	pins   []string
	user   uint32
	qr     bool
	qrFile string

	invitation invitationOptions
}

func linkNew(_ context.Context, args []string, stdout, stderr io.Writer) error {
	o := &newOptions{flags: term.NewFlags("culvert link new", "--secret-file FILE --front URL [flags]", newAbout)}
	o.flags.StringVar(&o.secret, "secret-file", "", "`FILE` with the master secret, from culvert link secret; - is the standard input")
	o.flags.StringVar(&o.gate, "gate-file", "", "`FILE` with the gates' own secret, if they have one; - is the standard input")
	o.flags.Texts(&o.fronts, "front", "`URL` of an edge, with its options; repeat it for more, the first is tried first")
	o.flags.Texts(&o.asked, "resolver", "`URL` of a resolver over HTTPS, with its options; may be repeated")
	o.flags.Texts(&o.pins, "pin", "`CERT.pem`, a certificate whose key every front must show; needs no public CA; may be repeated")
	o.flags.Func("user", "`NUMBER` of the user, by which the origin can revoke the link; one for each person (default one that nobody has)", o.setUser)
	o.flags.BoolVar(&o.qr, "qr", false, "print a QR code of the link as well")
	o.flags.StringVar(&o.qrFile, "qr-file", "", "`FILE` that gets a picture of the link's QR code; its name ends in .png or .svg")
	o.invitation.addFlags(o.flags)
	if err := o.flags.ParseNone(args, stdout); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	drawn := !o.flags.Given("user")
	if drawn {
		o.user = drawUser()
	}
	l, err := o.link()
	if err != nil {
		return err
	}
	if err := o.writePicture(l.QR()); err != nil {
		return fmt.Errorf("write QR code: %w", err)
	}
	if err := o.invitation.write(l); err != nil {
		return err
	}
	if err := secret.Keep(stdout); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(stdout, l); err != nil {
		return err
	}
	if drawn {
		out := term.NewConsole(stderr).In(spoken(args))
		out.Line(out.Text("The link is for user %d, a number that was drawn: --user %d makes it again, and the origin can revoke it alone by that.", o.user, o.user))
	}
	if !o.qr {
		return nil
	}
	return term.NewConsole(stdout).QR(l.QR(), "Or have a picture of it with --qr-file link.png.")
}

// writePicture makes the picture that is wanted, for its owner alone.
func (o *newOptions) writePicture(code string) error {
	if o.qrFile == "" {
		return nil
	}
	picture, err := term.QRPicture(o.qrFile, code)
	if err != nil {
		return err
	}
	return secret.Write(o.qrFile, picture, 0o600)
}

func (o *newOptions) setUser(s string) error {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return fmt.Errorf("it is a number up to %d", uint32(math.MaxUint32))
	}
	o.user = uint32(n)
	return nil
}

// drawUser is a number that nobody has: people are counted from 1, and of so many two are hardly drawn alike.
func drawUser() uint32 { return 1<<31 | rand.Uint32() }

func (o *newOptions) check() error {
	switch {
	case o.secret == "":
		return o.flags.Wrong("--secret-file is missing; make one with: (umask 077; culvert link secret > secret)")
	case o.secret == "-" && o.gate == "-":
		return o.flags.Wrong("--secret-file and --gate-file are both the standard input: send both secrets in one, \"master TEXT\" and \"gate TEXT\" on a line each")
	case len(o.fronts) == 0:
		return o.flags.Wrong("--front is missing: where is the edge, for example --front wss://edge.example/")
	case o.qrFile != "" && !term.IsPicture(o.qrFile):
		return o.flags.Wrong("--qr-file makes a picture, and its name ends in .png or .svg")
	}
	return o.invitation.check()
}

func (o *newOptions) link() (*link.Link, error) {
	fronts, err := o.readFronts()
	if err != nil {
		return nil, err
	}
	resolvers, err := readResolvers(o.flags, o.asked)
	if err != nil {
		return nil, err
	}
	master, err := readSecrets(o.secret, o.gate, os.Stdin)
	if err != nil {
		return nil, term.BadInput{Err: fmt.Errorf("read secret: %w", err)}
	}
	l := &link.Link{Keys: master.Client(o.user), Fronts: fronts, Resolvers: resolvers}
	if err := l.Validate(); err != nil {
		return nil, term.BadInput{Err: fmt.Errorf("make link: %w", err)}
	}
	return l, nil
}

func (o *newOptions) readFronts() ([]link.Front, error) {
	pins, err := readPins(o.pins)
	if err != nil {
		return nil, err
	}
	var fronts []link.Front
	for i, s := range o.fronts {
		f, err := link.ParseFront(s)
		if err != nil {
			return nil, o.flags.Wrong("--front, number %d of %d: %v", i+1, len(o.fronts), err)
		}
		f.Pins = append(f.Pins, pins...)
		fronts = append(fronts, f)
	}
	return fronts, nil
}

func readPins(files []string) (pins []link.Pin, err error) {
	for _, name := range files {
		file, err := term.ReadSmall(name)
		if err != nil {
			return nil, term.BadInput{Err: fmt.Errorf("read pin: %w", err)}
		}
		pin, err := link.PinPEM(file)
		if err != nil {
			return nil, term.BadInput{Err: fmt.Errorf("read pin: %s: %w", name, err)}
		}
		pins = append(pins, pin)
	}
	return pins, nil
}

const showAbout = `
Says what is in a link, without its secrets. Without --link-file it asks for the
link, which is not shown.

Examples:
  culvert link show --link-file link
  culvert link show`

func linkShow(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := term.NewFlags("culvert link show", "[--link-file FILE]", showAbout)
	source, l := linkFlag(f), languageFlag(f)
	rest, err := f.ParseAll(args, stdout)
	if err != nil {
		return err
	}
	read, err := source.read(ctx, rest, *l, os.Stdin, stderr)
	if err != nil {
		return err
	}
	out := term.NewConsole(stdout).In(*l)
	read.Explain(out.Say)
	return nil
}

// linkSource is where a command's link comes from.
type linkSource struct {
	flags *term.Flags
	file  string
}

// linkFlag adds --link-file to f.
func linkFlag(f *term.Flags) *linkSource {
	s := &linkSource{flags: f}
	f.StringVar(&s.file, "link-file", "", "`FILE` that holds the link, and that nobody else can read; - is the standard input")
	return s
}

// read gives the link that --link-file names, or that a person at a terminal pastes, who is
// asked by ask. It may stand in a letter: see link.Find.
func (s *linkSource) read(ctx context.Context, args []string, l lang.Language, stdin io.Reader, ask io.Writer) (*link.Link, error) {
	text, err := s.text(ctx, args, l, stdin, ask)
	if err != nil {
		return nil, err
	}
	found, err := link.Find(text)
	if err != nil {
		return nil, term.BadInput{Err: fmt.Errorf("read link: %w", err)}
	}
	return found, nil
}

// pasted asks for a link, of which a mail program may have made several lines, and which may
// have lines before it.
func pasted(l lang.Language) term.Hidden {
	return term.Hidden{
		Ask:  l.Line(l.Text("Paste the link, which starts with %s, and press Enter. It is not shown:", link.Scheme)) + " ",
		More: l.Line(l.Text("This is not the whole link yet: paste the rest and press Enter, or Enter alone to give up:")) + " ",
		Whole: func(lines string) bool {
			_, err := link.Find(lines)
			return !errors.Is(err, link.ErrCut) && !errors.Is(err, link.ErrNone)
		},
	}
}

// errArgument is for who puts a link where ps and the shell's history show it.
const errArgument = "a link on the command line can be read by every program of this machine: leave it out and paste it when you are asked, or name its file with --link-file"

func (s *linkSource) text(ctx context.Context, args []string, l lang.Language, stdin io.Reader, ask io.Writer) (string, error) {
	file := s.file
	switch {
	case len(args) == 1 && args[0] == "-" && file == "":
		file = "-"
	case len(args) > 0:
		return "", s.flags.Wrong(errArgument)
	case file == "" && term.IsTerminal(stdin):
		return term.AskHidden(ctx, stdin.(*os.File), ask, pasted(l))
	case file == "":
		return "", s.flags.Wrong("the link is missing: name its file with --link-file, or with - send it to the standard input")
	}
	text, err := secret.Read(file, stdin)
	if err != nil {
		return "", term.BadInput{Err: fmt.Errorf("read link: %w", err)}
	}
	return text, nil
}

// readSecrets reads the master secret, and that of the gates if they have one
// of their own: from gateFile, which may be empty, or from lines of secretFile
// that begin with "gate".
func readSecrets(secretFile, gateFile string, stdin io.Reader) (seal.Master, error) {
	text, err := secret.Read(secretFile, stdin)
	if err != nil {
		return seal.Master{}, err
	}
	masters, gates := sortSecrets(text)
	if gateFile != "" {
		more, err := secret.Read(gateFile, stdin)
		if err != nil {
			return seal.Master{}, err
		}
		if strings.TrimSpace(more) == "" {
			return seal.Master{}, wire.ErrGateSecret
		}
		if gates != "" {
			return seal.Master{}, errors.New("there are gate secrets in both files: which one is it?")
		}
		gates = more
	}
	return newest(masters, gates)
}

// sortSecrets takes "master TEXT" and "gate TEXT" apart. A line without either
// word is of a master's.
func sortSecrets(text string) (masters, gates string) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 2 && words[0] == "gate":
			gates += words[1] + "\n"
		case len(words) == 2 && words[0] == "master":
			masters += words[1] + "\n"
		default:
			masters += line
		}
	}
	return masters, gates
}

func newest(masters, gates string) (seal.Master, error) {
	all, err := seal.ParseMasters(masters)
	if err != nil {
		return seal.Master{}, err
	}
	if gates == "" {
		return all[0], nil
	}
	keys, err := wire.ParseGateKeys(gates)
	if err != nil {
		return seal.Master{}, err
	}
	return all[0].WithGate(keys[0]), nil
}
