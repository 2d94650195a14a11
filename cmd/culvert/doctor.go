package main

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"culvert/client"
	"culvert/client/doctor"
	"culvert/internal/lang"
	"culvert/internal/link"
	"culvert/internal/term"
	"culvert/internal/whatsapp"
)

const doctorAbout = `
Goes the way of the app's connections and says, hop by hop, how far they come
and what to try. Each front of the link is tested by itself. What it prints
names neither fronts nor addresses and may be shown to others; --names adds the
fronts. --via and the environment name a proxy, and --resolver whom to ask for names,
as for culvert connect.

On the origin's machine, --direct asks WhatsApp from there, without a relay, and
--admin says what the origin there limits, by kind and how often, never who.

It ends with 0 only if chat, media down and media up all work, each by one front
at least, or with --every by every front; else with 1.

--json prints one object, whose fields only ever get more:
  version  1
  mode     "link" or "direct"
  ok       whether all of verdict hold; with --every, by every front
  verdict  {"chat", "media_down", "media_up": whether it works}
  checks   a list, in the order of the way, of {
    "front":   its number from 1; missing where there is none
    "hop":     "link", and for each front "network", "tls", "gate", "origin",
               "path"; then "chat", "media_down", "media_up"; "shares" by --admin
    "status":  "ok", "failed" or "skipped", if an earlier hop but path failed
    "ms":      how long it took
    "detail":  what was seen
    "problem": what is wrong, if it failed, and
    "try":     what to try then; may be missing
    "cause":   what was met, in a word that stays the same; see docs/CLIENT.md.
               A hop that is ok may have one, too
    "bytes", "kbit_s", "idle_s", "connections": the number in it
    "expires": when the certificate ends that was seen, RFC 3339
    "leaf_serial": number of chat's certificate
    "http_status": of media's answer
    "limits": a list, of what the origin has limited since it started, of {
      "of":    "tunnels", "carriers", "memory", "texts", "posts" or "connections"
      "whose": whose share was used up: "user", "session" or "stranger"
      "did":   "refused", or "ended" for another
      "times": how often } }
  fronting a list, with --fronting, of {
    "way":     number of the front whose address, name and certificate were used
    "no_name": true if no name was sent in the clear
    "inside":  number of the front whose host was asked for
    "status":  "ok" if it led to the origin, "failed" or "skipped"
    "hop", "problem": where it ended, and why }

Examples:
  culvert doctor --link-file link
  culvert doctor --direct --admin 127.0.0.1:9090`

// doctorOptions is the command line of "culvert doctor".
type doctorOptions struct {
	flags    *term.Flags
	link     *linkSource
	dialer   *dialerSource
	direct   bool
	admin    string
	json     bool
	names    bool
	every    bool
	state    string
	fronting bool
	timeout  time.Duration
	rest     time.Duration
	lang     *lang.Language
	root, ca string
	upstream whatsapp.Upstream
}

func newDoctorOptions() *doctorOptions {
	f := term.NewFlags("culvert doctor", "[--link-file FILE | --direct] [flags]", doctorAbout)
	o := &doctorOptions{flags: f, link: linkFlag(f), dialer: dialerFlags(f)}
	f.BoolVar(&o.direct, "direct", false, "ask WhatsApp from this machine, without a relay")
	f.StringVar(&o.admin, "admin", "", "`ADDR`, with --direct: say what the origin limits whose CULVERT_ADMIN_LISTEN this is")
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.BoolVar(&o.names, "names", false, "name the fronts")
	f.BoolVar(&o.every, "every", false, "want every front to work")
	f.BoolVar(&o.fronting, "fronting", false, "try each front's name with the host of each other, too, and without a name; whoever watches sees all the names within seconds")
	f.StringVar(&o.state, "state", stateDir(), "`DIR` where culvert connect keeps the fronts that came after the link, or none; they are tested, too")
	f.DurationVar(&o.timeout, "timeout", 40*time.Second, "`TIME` for everything")
	f.DurationVar(&o.rest, "patient", 0, "`TIME`, up to 80s, for which a connection may rest, to see whether it is cut then; takes twice as long")
	o.lang = languageFlag(f)
	f.StringVar(&o.root, "chat-root", "", "`HEX`, for tests: take this key for WhatsApp's when chat proves itself; what is proved then is NOT that WhatsApp answers")
	f.StringVar(&o.ca, "media-ca", "", "`FILE`, for tests: trust these certificates (PEM) for media INSTEAD of public ones")
	f.StringVar(&o.upstream.Chat, "upstream-chat", "", "`ADDR`, for tests with --direct: ask this host:port for chat, NOT WhatsApp")
	f.StringVar(&o.upstream.Media, "upstream-media", "", "`ADDR`, for tests with --direct: ask this host:port for media, NOT WhatsApp")
	return o
}

func runDoctor(ctx context.Context, args []string, stdout, _ io.Writer) error {
	o := newDoctorOptions()
	rest, err := o.flags.ParseAll(args, stdout)
	if err != nil {
		return err
	}
	t, err := o.check(rest)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout+2*o.rest)
	defer cancel()
	if o.json {
		return o.tellJSON(ctx, rest, t, stdout)
	}
	return o.tellPerson(ctx, rest, t, term.NewConsole(stdout).In(*o.lang))
}

func (o *doctorOptions) tellJSON(ctx context.Context, args []string, t doctor.Trust, stdout io.Writer) error {
	r, err := o.examine(ctx, args, t, doctor.Silent{})
	if err != nil {
		return err
	}
	verdict := r.Judge(o.every)
	if err := term.JSON(stdout, r); err != nil {
		return err
	}
	return verdict
}

func (o *doctorOptions) tellPerson(ctx context.Context, args []string, t doctor.Trust, out *term.Console) error {
	p := &prose{out: out, names: o.names, strange: o.root != "" || o.ca != ""}
	if o.direct {
		out.Title("From this machine, without a relay")
		out.Show(out.Text("… on the way"))
	}
	r, err := o.examine(ctx, args, t, p)
	if err != nil {
		return err
	}
	verdict := r.Judge(o.every)
	if o.fronting {
		p.fronting(r.Fronting)
	}
	p.verdict(r)
	return verdict
}

func (o *doctorOptions) check(args []string) (doctor.Trust, error) {
	switch {
	case o.direct && (len(args) > 0 || o.link.file != ""):
		return doctor.Trust{}, o.flags.Wrong("--direct asks from this machine and takes no link")
	case o.direct && (o.dialer.via != "" || len(o.dialer.resolvers) > 0):
		return doctor.Trust{}, o.flags.Wrong("--via and --resolver are for fronts, and --direct asks without any")
	case o.direct && o.fronting:
		return doctor.Trust{}, o.flags.Wrong("--fronting is for fronts, and --direct asks without any")
	case !o.direct && o.admin != "":
		return doctor.Trust{}, o.flags.Wrong("--admin goes with --direct, on the origin's machine")
	case !o.direct && (o.upstream.Chat != "" || o.upstream.Media != ""):
		return doctor.Trust{}, o.flags.Wrong("--upstream-chat and --upstream-media go with --direct alone")
	case o.rest < 0 || o.rest > doctor.MaxRest:
		return doctor.Trust{}, o.flags.Wrong("--patient is a time of at most %s", doctor.MaxRest)
	case o.timeout <= 0:
		return doctor.Trust{}, o.flags.Wrong("--timeout is a time such as 30s")
	}
	if o.admin != "" {
		if _, _, err := net.SplitHostPort(o.admin); err != nil {
			return doctor.Trust{}, o.flags.Wrong("--admin is HOST:PORT, as the origin's CULVERT_ADMIN_LISTEN")
		}
	}
	if err := o.upstream.Check(); err != nil {
		return doctor.Trust{}, o.flags.Wrong("%v", err)
	}
	o.upstream.AllowPrivate = o.upstream.Chat != "" || o.upstream.Media != ""
	t, err := readTrust(o.root, o.ca)
	if err != nil {
		return t, term.BadInput{Err: err}
	}
	return t, nil
}

// readTrust replaces WhatsApp's keys by others: the root by 64 hexadecimal
// digits, the authorities of media by a PEM file. Empty texts replace nothing.
func readTrust(chatRoot, mediaCA string) (doctor.Trust, error) {
	t := doctor.Genuine()
	if chatRoot != "" {
		b, err := hex.DecodeString(strings.TrimSpace(chatRoot))
		if err != nil || len(b) != len(t.Root) {
			return t, errors.New("--chat-root is 64 hexadecimal digits")
		}
		t.Root = [32]byte(b)
	}
	if mediaCA == "" {
		return t, nil
	}
	pem, err := term.ReadSmall(mediaCA)
	if err != nil {
		return t, fmt.Errorf("read media CA: %w", err)
	}
	t.CAs = x509.NewCertPool()
	if !t.CAs.AppendCertsFromPEM(pem) {
		return t, errors.New("--media-ca is a PEM file with a certificate, and this one has none")
	}
	return t, nil
}

// examine fails only if the command line is wrong, or a person who is asked for the link gives up.
func (o *doctorOptions) examine(ctx context.Context, args []string, t doctor.Trust, tell doctor.Listener) (*doctor.Report, error) {
	if o.direct {
		r := doctor.ExamineDirect(ctx, &o.upstream, t, tell)
		if o.admin != "" {
			r.AddLimits(ctx, o.admin, tell)
		}
		return r, nil
	}
	l, err := o.link.read(ctx, args, *o.lang, os.Stdin, os.Stderr)
	var usage term.UsageError
	var gaveUp term.ExitCode
	switch {
	case errors.As(err, &usage), errors.As(err, &gaveUp):
		return nil, err
	case err != nil:
		return doctor.ExamineBadLink(err, tell), nil
	}
	d, err := o.dialer.dialer(l)
	if err != nil {
		return nil, err
	}
	later := o.later(l)
	r := doctor.Examine(ctx, l, doctor.Options{Dialer: d, Rest: o.rest, Later: later}, t, tell)
	if o.fronting {
		all := &link.Link{Keys: l.Keys, Fronts: slices.Concat(l.Fronts, later.Fronts)}
		r.Fronting = doctor.Fronting(ctx, all, d)
	}
	return r, nil
}

// later is what culvert connect has kept, if that is of use: else it says so itself.
func (o *doctorOptions) later(l *link.Link) client.Later {
	if o.state == noState {
		return client.Later{}
	}
	found, err := client.ReadLater(l, o.state, time.Now())
	if err != nil {
		return client.Later{}
	}
	return found
}

// prose tells a person, line by line, as the checks go on.
type prose struct {
	out     *term.Console
	names   bool
	strange bool   // others than WhatsApp's keys are trusted
	tried   string // what was said last to try
}

// Front begins the checks of a front.
func (p *prose) Front(number int, f link.Front) {
	name := ""
	if p.names {
		name = ": " + f.URL()
	}
	p.out.Title(fmt.Sprintf("Front %d", number) + name)
	p.out.Show(p.out.Text("… on the way"))
}

// hopText is what people read for a hop.
var hopText = map[doctor.Hop]string{
	doctor.Link: "Link", doctor.Network: "Network", doctor.TLS: "TLS", doctor.Gate: "Gate", doctor.Origin: "Origin", doctor.Path: "Path",
	doctor.Chat: "Chat", doctor.MediaDown: "Media down", doctor.MediaUp: "Media up",
	doctor.Shares: "Shares",
}

// Check says how a hop went.
func (p *prose) Check(c doctor.Check) {
	p.out.Show("")
	switch c.Status {
	case doctor.Passed:
		p.passed(c)
	case doctor.Failed:
		p.failed(c)
	default:
		p.out.Step(term.Skipped, 0, "%s: not tried", hopText[c.Hop])
	}
}

// passed tells of a hop that works, with a warning if something was met there.
func (p *prose) passed(c doctor.Check) {
	sign := term.Good
	if c.Cause != "" {
		sign = term.Warned
	}
	p.out.Step(sign, c.Took(), "%s: %s", hopText[c.Hop], c.Detail)
	p.hint(c)
}

func (p *prose) failed(c doctor.Check) {
	p.out.Step(term.Bad, c.Took(), "%s: %s", hopText[c.Hop], c.Problem)
	p.hint(c)
}

// hint says what to try, once.
func (p *prose) hint(c doctor.Check) {
	if c.Try != "" && c.Try != p.tried {
		p.out.Hint("→ %s", capital(p.out.Text("%s", c.Try)))
	}
	p.tried = c.Try
}

// ends are what sentences end with, in any language: Burmese ones have a mark of their own.
const ends = ".။。"

// capital makes a sentence of s.
func capital(s string) string {
	if s == "" {
		return s
	}
	first, size := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(first)) + s[size:]
	if last, _ := utf8.DecodeLastRuneInString(s); !strings.ContainsRune(ends, last) {
		s += "."
	}
	return s
}

// fronting says which names lead to which hosts.
func (p *prose) fronting(all []doctor.Combination) {
	p.out.Title("Fronting")
	if len(all) == 0 {
		p.out.Step(term.Skipped, 0, "There is nothing to combine")
	}
	for _, c := range all {
		way := p.out.Text("the name of front %d", c.Way)
		if c.NoName {
			way = p.out.Text("front %d without a name", c.Way)
		}
		switch c.Status {
		case doctor.Passed:
			p.out.Step(term.Good, 0, "%s, host of front %d: leads to the origin", way, c.Inside)
		case doctor.Failed:
			p.out.Step(term.Bad, 0, "%s, host of front %d: %s: %s", way, c.Inside, hopText[c.Hop], term.OneLine(errors.New(c.Problem)))
		default:
			p.out.Step(term.Skipped, 0, "%s, host of front %d: %s", way, c.Inside, c.Problem)
		}
		if p.names && c.Status == doctor.Passed {
			p.out.Hint("%s", c.Front)
		}
	}
}

// verdict says what works in all.
func (p *prose) verdict(r *doctor.Report) {
	p.out.Title("Verdict")
	if p.strange {
		p.out.Step(term.Warned, 0, "Keys of a stand-in were trusted: this says nothing about WhatsApp")
	}
	for _, hop := range doctor.Services {
		fronts := r.By(hop)
		switch {
		case len(fronts) == 0:
			p.out.Step(term.Bad, 0, "%s does not work", hopText[hop])
		case r.Mode == doctor.Directly:
			p.out.Step(term.Good, 0, "%s works from this machine", hopText[hop])
		default:
			p.out.Step(term.Good, 0, "%s works, by front %s", hopText[hop], listText(fronts))
		}
	}
}

// listText is numbers for people.
func listText(numbers []int) string {
	var all []string
	for _, n := range numbers {
		all = append(all, strconv.Itoa(n))
	}
	return strings.Join(all, ", ")
}
