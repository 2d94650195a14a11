package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"culvert/internal/link"
	"culvert/internal/term"
	"culvert/internal/whatsapp"
)

const doctorAbout = `
Goes the way of the app's connections and says, hop by hop, how far they come
and what to try. Each front of the link is tested by itself. What it prints
names neither fronts nor addresses and may be shown to others; --names adds the
fronts.

On the origin's machine, --direct asks WhatsApp from there, without a relay.

It ends with 0 only if chat, media down and media up all work, each by one front
at least, or with --every by every front; else with 1.

--json prints one object, whose fields only ever get more:
  version  1
  mode     "link" or "direct"
  ok       whether all of verdict hold; with --every, by every front
  verdict  {"chat", "media_down", "media_up": whether it works}
  checks   a list, in the order of the way, of {
    "front":   its number from 1; missing where there is none
    "hop":     "link", and for each front "network", "tls", "gate", "origin";
               then "chat", "media_down", "media_up"
    "status":  "ok", "failed" or "skipped", if an earlier hop failed
    "ms":      how long it took
    "detail":  what was seen
    "problem": what is wrong, if it failed, and
    "try":     what to try then; may be missing
    "expires": when the certificate ends that was seen, RFC 3339
    "leaf_serial": number of chat's certificate
    "http_status": of media's answer }

Examples:
  culvert doctor --link-file link
  culvert doctor --direct --json`

// doctorOptions is the command line of "culvert doctor".
type doctorOptions struct {
	flags    *term.Flags
	link     *linkSource
	direct   bool
	json     bool
	names    bool
	every    bool
	timeout  time.Duration
	root, ca string
	upstream whatsapp.Upstream
}

func newDoctorOptions() *doctorOptions {
	f := term.NewFlags("culvert doctor", "LINK | --link-file FILE | --direct [flags]", doctorAbout)
	o := &doctorOptions{flags: f, link: linkFlag(f)}
	f.BoolVar(&o.direct, "direct", false, "ask WhatsApp from this machine, without a relay")
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.BoolVar(&o.names, "names", false, "name the fronts")
	f.BoolVar(&o.every, "every", false, "want every front to work")
	f.DurationVar(&o.timeout, "timeout", 40*time.Second, "`TIME` for everything")
	f.StringVar(&o.root, "chat-root", "", "`HEX`, for tests: take this key for WhatsApp's when chat proves itself; what is proved then is NOT that WhatsApp answers")
	f.StringVar(&o.ca, "media-ca", "", "`FILE`, for tests: trust these certificates (PEM) for media INSTEAD of public ones")
	f.StringVar(&o.upstream.Chat, "upstream-chat", "", "`ADDR`, for tests with --direct: ask this host:port for chat, NOT WhatsApp")
	f.StringVar(&o.upstream.Media, "upstream-media", "", "`ADDR`, for tests with --direct: ask this host:port for media, NOT WhatsApp")
	return o
}

// errUnwell and errPartly make doctor end with 1.
var (
	errUnwell = errors.New("not all of chat, media down and media up work")
	errPartly = errors.New("not every front works")
)

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
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	var tell teller = &prose{out: term.NewConsole(stdout), names: o.names, strange: o.root != "" || o.ca != ""}
	if o.json {
		tell = silent{}
	}
	r, err := o.examine(ctx, rest, t, tell)
	if err != nil {
		return err
	}
	verdict := r.judge(o.every)
	if tell.verdict(r); o.json {
		if err := writeJSON(stdout, r); err != nil {
			return err
		}
	}
	return verdict
}

func (o *doctorOptions) check(args []string) (trust, error) {
	switch {
	case o.direct && (len(args) > 0 || o.link.file != ""):
		return trust{}, o.flags.Wrong("--direct asks from this machine and takes no link")
	case !o.direct && (o.upstream.Chat != "" || o.upstream.Media != ""):
		return trust{}, o.flags.Wrong("--upstream-chat and --upstream-media go with --direct alone")
	case o.timeout <= 0:
		return trust{}, o.flags.Wrong("--timeout is a time such as 30s")
	}
	if err := o.upstream.Check(); err != nil {
		return trust{}, o.flags.Wrong("%v", err)
	}
	o.upstream.AllowPrivate = o.upstream.Chat != "" || o.upstream.Media != ""
	return readTrust(o.root, o.ca)
}

// examine fails only if the command line is wrong.
func (o *doctorOptions) examine(ctx context.Context, args []string, t trust, tell teller) (*report, error) {
	if o.direct {
		return examineDirect(ctx, &o.upstream, t, tell), nil
	}
	l, err := o.link.read(args, os.Stdin)
	var usage term.UsageError
	switch {
	case errors.As(err, &usage):
		return nil, err
	case err != nil:
		r := newReport("link")
		r.add(tell, check{Hop: "link", Status: failed, Problem: err.Error()})
		return r, nil
	}
	return examineLink(ctx, l, t, tell), nil
}

func examineLink(ctx context.Context, l *link.Link, t trust, tell teller) *report {
	r := newReport("link")
	r.add(tell, check{Hop: "link", Status: passed,
		Detail: fmt.Sprintf("valid, for user %d, with %s", l.Keys.User, term.Count(len(l.Fronts), "front"))})
	results := make([]chan []check, len(l.Fronts))
	for i := range l.Fronts {
		results[i] = make(chan []check, 1)
		go func() { results[i] <- examineFront(ctx, l, i, t) }()
	}
	for i, f := range l.Fronts {
		tell.front(i+1, f)
		for _, c := range <-results[i] {
			r.add(tell, c)
		}
	}
	return r
}

func examineDirect(ctx context.Context, u *whatsapp.Upstream, t trust, tell teller) *report {
	r := newReport("direct")
	tell.direct()
	for _, c := range proofChecks(0, direct(u).prove(ctx, t, serviceLimit), adviceDirect) {
		r.add(tell, c)
	}
	return r
}

func writeJSON(w io.Writer, r *report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
