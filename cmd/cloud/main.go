// This program takes Culvert to an AWS account and back: it runs the AWS and
// SAM command lines and says in plain words what they do. The Makefile's
// targets deploy, update, status, link, rotate, revoke and destroy call it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"culvert/internal/term"
)

// command is one word of the command line, and one target of the Makefile.
type command struct {
	name, summary string
	run           func(context.Context, *cloud) error
	onCtrlC       string // what then is true, and how to go on
}

const goesOn = "What CloudFormation has begun goes on by itself. To watch it and to go on:\n  make %s\nTo end everything:\n  make destroy"

var commands = []command{
	{"deploy", "bring Culvert to your AWS account, and print the first link", deploy, goesOn},
	{"update", "bring a new origin without cutting anybody off", update, goesOn},
	{"status", "say how it does: health, users, bytes, money", status, "Nothing was changed."},
	{"link", "make a link for USER", link, "Nothing was changed."},
	{"rotate", "make new secrets; links of the last ones go on working until the next time", rotate,
		"What CloudFormation has begun goes on by itself: make status says of which generation the secrets are. " +
			"If it is one more than before, the rotation is done: do not rotate twice."},
	{"revoke", "make USER's links void", revoke, "If it said that the user is revoked, that holds. If not, run it again."},
	{"destroy", "remove everything, and all cost", destroy, "What was begun goes on by itself. To watch it and to remove the rest:\n  make %s"},
}

func main() {
	if len(os.Args) > 1 && (os.Args[1] == "cost" || strings.HasSuffix(os.Args[1], "version")) {
		term.Main(reckoning)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from then on a signal ends us at once
	code := run(ctx, os.Args[1:], programs{}, os.Stdout)
	stop()
	os.Exit(code)
}

// run is the program: 0 when all went well, 2 for a wrong command line, 130
// after Ctrl-C, 1 for everything else.
func run(ctx context.Context, args []string, r runner, out io.Writer) int {
	cmd, ok := commandOf(args)
	if !ok {
		fmt.Fprint(out, overview())
		if len(args) > 0 && strings.HasSuffix(args[0], "help") {
			return 0
		}
		return 2
	}
	o, err := parse(cmd.name, args[1:], out)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(out, "%s: %v\n", cmd.name, err)
		return 2
	}
	c := &cloud{options: o, runner: r, console: newConsole(out, o.yes), look: find}
	err = cmd.run(ctx, c)
	c.show("")
	switch {
	case ctx.Err() != nil:
		c.note("Interrupted.")
		c.hint("%s", strings.ReplaceAll(cmd.onCtrlC, "%s", cmd.name))
		return 130
	case err != nil:
		c.report(err)
		return 1
	}
	return 0
}

func overview() string {
	var b strings.Builder
	b.WriteString("Usage: make TARGET [VARIABLE=value ...], with TARGET one of\n")
	for _, c := range commands {
		fmt.Fprintf(&b, "  %-9s %s\n", c.name, c.summary)
	}
	b.WriteString("Variables: PROFILE REGION STACK TOPOLOGY DISTRIBUTIONS INSTANCE BUDGET EMAIL USER FRONT YES=1\n")
	return b.String()
}

// report says what went wrong, what the command line said, and what to try.
func (c *cloud) report(err error) {
	err = c.explain(err)
	var a *advice
	if !errors.As(err, &a) {
		a = &advice{problem: "this failed", try: "Running the same command again is safe: what is done stays done.", err: err}
	}
	c.bad("%s%s", strings.ToUpper(a.problem[:1]), a.problem[1:])
	if a.err != nil {
		c.quote(a.err)
	}
	c.hint("%s", c.runnable(a.try))
}

func commandOf(args []string) (command, bool) {
	for _, c := range commands {
		if len(args) > 0 && args[0] == c.name {
			return c, true
		}
	}
	return command{}, false
}
