package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"culvert/client/household"
	"culvert/client/startup"
	"culvert/internal/lang"
	"culvert/internal/link"
	"culvert/internal/term"
)

const serviceAbout = `A client that the system starts with the machine, before anybody logs in, and again whenever
it ends: by systemd, OpenRC, OpenWrt's procd, macOS' launchd, or as a service of Windows.`

var serviceProgram = term.Program{
	Name:  "culvert service",
	About: serviceAbout,
	Commands: []term.Command{
		{Name: "install", Summary: "have the system start a client, now and with the machine", Run: serviceInstall},
		{Name: "start", Summary: "start it after it was stopped", Run: serviceStart},
		{Name: "stop", Summary: "end it until the machine starts again", Run: serviceStop},
		{Name: "status", Summary: "say whether it runs, and how it does", Run: serviceStatus},
		{Name: "uninstall", Summary: "end it and remove it, with its link", Run: serviceUninstall},
	},
}

const installAbout = `
Has the system start culvert connect with these flags, now and with the machine. The link goes into a
file that the service alone can read, and never onto a command line. A program that lies in a
folder of downloads or on a stick is copied to where programs stay. What the client
says is in the system's log.

Run again it changes the flags, which are those of the last time alone, or puts a newer program in
place of the one that runs. Without --link-file the link stays.

Examples:
  sudo culvert service install --link-file link --lan
  sudo culvert service install --lan`

// startPatience is how long a client that the system has started may take until it answers.
const startPatience = 15 * time.Second

func serviceInstall(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := connectFlags("culvert service install", "[--link-file FILE] [flags]", installAbout)
	var given []string
	o.flags.Record(&given)
	rest, err := o.flags.ParseAll(args, stdout)
	if err != nil {
		return err
	}
	s, err := startup.This()
	if err != nil {
		return err
	}
	c, err := o.client(ctx, rest, given, installation{s.Installed(ctx), s.Proxy(), s.FirstPort()}, stderr)
	if err != nil {
		return err
	}
	if err := s.Install(ctx, c); err != nil {
		return fmt.Errorf("install the service: %w", err)
	}
	out := term.NewConsole(stdout).In(*o.language)
	out.Step(term.Good, 0, "The system starts the client, now and with the machine")
	out.Hint("  %s", strings.Join(append([]string{s.Program(), "connect"}, c.Options...), " "))
	out.Hint("culvert service status says how it does, and this shows its log:")
	out.Hint("  %s", s.Log())
	o.dialing.tellProxy(out, s, os.Getenv)
	return tellService(ctx, s, startPatience, out, *o.language)
}

// tellProxy says that the service does not have the environment of whoever installs it, if that has a proxy.
func (d *dialerSource) tellProxy(out *term.Console, s *startup.System, env func(string) string) {
	proxied := slices.ContainsFunc([]string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"}, func(name string) bool { return env(name) != "" })
	if !proxied || d.via != "" || s.HasProxy() {
		return
	}
	out.Hint("HTTPS_PROXY or ALL_PROXY is set here, and the service does not have it: install it again with --via URL.")
	if p := s.Proxy(); p.File != "" {
		out.Hint("A proxy that has a password is written into %s, which is to be root's alone, as:", p.File)
		out.Hint("  %s", p.Line)
	}
}

// installation is what a service's flags are checked against: whether one is installed, where its proxy can be, and from
// which port on it may listen.
type installation struct {
	installed bool
	proxy     startup.Place
	firstPort int
}

// client is what the flags say, which are those that were given, of culvert connect. The installed link may stay.
func (o *connectOptions) client(ctx context.Context, rest, given []string, on installation, ask io.Writer) (startup.Client, error) {
	options := slices.DeleteFunc(given, func(g string) bool { return strings.HasPrefix(g, "--link-file=") })
	if err := o.check(); err != nil {
		return startup.Client{}, err
	}
	for _, g := range options {
		if !startup.Plain(g) {
			name, _, _ := strings.Cut(g, "=")
			return startup.Client{}, o.flags.Wrong("%s: in a service's flags there can be letters, digits and ._:/@+=,[]- alone", name)
		}
	}
	if strings.Contains(o.dialing.via, "@") {
		return startup.Client{}, o.passwordRefused(on.proxy)
	}
	if err := o.checkPorts(on.firstPort); err != nil {
		return startup.Client{}, err
	}
	if _, err := o.dialing.dialer(&link.Link{}); err != nil {
		return startup.Client{}, err
	}
	c := startup.Client{Options: options}
	if on.installed && o.link.file == "" && len(rest) == 0 {
		return c, nil
	}
	l, err := o.link.read(ctx, rest, *o.language, os.Stdin, ask)
	if err != nil {
		return c, err
	}
	c.Link = l.String()
	return c, nil
}

// checkPorts refuses what the service, which would end for that again and again, may not listen at.
func (o *connectOptions) checkPorts(first int) error {
	if flag := o.Below(first); flag != "" {
		return o.flags.Wrong("%s: ports below %d are root's, and the service does not run as root: choose %d or a higher one", flag, first, first)
	}
	return nil
}

func (o *connectOptions) passwordRefused(proxy startup.Place) error {
	if proxy.File == "" {
		return o.flags.Wrong("--via: a password on the service's command line could be read by every program of this machine; name a proxy without one")
	}
	return o.flags.Wrong("--via: a password on the service's command line could be read by every program of this machine; leave --via out, and write %s into %s with chmod 600", proxy.Line, proxy.File)
}

// tellService says how the service does. A client that does not answer within patience does not do well.
func tellService(ctx context.Context, s *startup.System, patience time.Duration, out *term.Console, l lang.Language) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		found, err := household.Ask(ctx, s.State())
		switch {
		case err != nil && os.IsPermission(err):
			return errors.New("how it does is told to an administrator alone: run it again with sudo")
		case err != nil:
			return err
		case len(found) > 0:
			for _, one := range found {
				tellStatus(out, one, l)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the client does not answer; this shows its log: %s", s.Log())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

const startAbout = `
Starts the client of culvert service install.

Example:
  sudo culvert service start`

func serviceStart(ctx context.Context, args []string, stdout, _ io.Writer) error {
	s, l, err := serviceOf("start", startAbout, args, stdout)
	if err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	return tellService(ctx, s, startPatience, term.NewConsole(stdout).In(l), l)
}

const stopAbout = `
Ends the client of culvert service install, until the machine starts again or
culvert service start does it.

Example:
  sudo culvert service stop`

func serviceStop(ctx context.Context, args []string, stdout, _ io.Writer) error {
	s, _, err := serviceOf("stop", stopAbout, args, stdout)
	if err != nil {
		return err
	}
	return s.Stop(ctx)
}

const serviceStatusAbout = `
Says whether the client of culvert service install runs, and how it does. It ends with 0 if it runs, with 3
if it does not, and with 4 if none is installed.

Example:
  sudo culvert service status`

// The exit codes of "culvert service status", as "systemctl status" has them.
const (
	isStopped = term.ExitCode(3)
	isMissing = term.ExitCode(4)
)

func serviceStatus(ctx context.Context, args []string, stdout, _ io.Writer) error {
	s, l, err := serviceOf("status", serviceStatusAbout, args, stdout)
	if err != nil {
		return err
	}
	out := term.NewConsole(stdout).In(l)
	switch {
	case !s.Installed(ctx):
		out.Step(term.Bad, 0, "Not installed")
		out.Hint("culvert service install does that.")
		return isMissing
	case !s.Running(ctx):
		out.Step(term.Bad, 0, "Installed, and does not run")
		out.Hint("culvert service start starts it; this shows why it ended:")
		out.Hint("  %s", s.Log())
		return isStopped
	}
	out.Step(term.Good, 0, "Installed, and runs")
	if err := tellService(ctx, s, time.Second, out, l); err != nil {
		out.Hint("%s", l.Sentence(err.Error())) // it runs, which is what was asked
	}
	return nil
}

const uninstallAbout = `
Ends the client of culvert service install and removes it, with its link and with what it has
learned of networks. The program stays where it is.

Example:
  sudo culvert service uninstall`

func serviceUninstall(ctx context.Context, args []string, stdout, _ io.Writer) error {
	s, l, err := serviceOf("uninstall", uninstallAbout, args, stdout)
	if err != nil {
		return err
	}
	if err := s.Uninstall(ctx); err != nil {
		return err
	}
	out := term.NewConsole(stdout).In(l)
	out.Step(term.Good, 0, "The service is removed, and its link with it")
	out.Hint("The program stays: %s", s.Program())
	return nil
}

// serviceOf reads the command line of a command that takes a language alone.
func serviceOf(command, about string, args []string, stdout io.Writer) (*startup.System, lang.Language, error) {
	f := term.NewFlags("culvert service "+command, "[flags]", about)
	l := languageFlag(f)
	if err := f.ParseNone(args, stdout); err != nil {
		return nil, *l, err
	}
	s, err := startup.This()
	return s, *l, err
}
