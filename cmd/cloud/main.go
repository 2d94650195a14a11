// This program takes Culvert to an AWS account and back: it runs the AWS and
// SAM command lines and says in plain words what they do. The Makefile's
// targets deploy, update, status, report, link, rotate, fronts, revoke, publish
// and destroy call it.
// What AWS charges it says also without an account.
//
// Each file is a story: deploy.go has deploy, update and rotate, with rights.go,
// quotas.go and region.go for what is asked before anything is made; link.go has link and
// revoke, fronts.go fronts, status.go and money.go status, report.go report, destroy.go destroy, cost.go cost,
// publish.go publish, and release.go what a release has instead of a clone. All
// of them begin in account.go, and machine.go asks the machines. Below them,
// package cfn brings a stack to where it is wanted, advice knows what AWS's
// errors mean, aws runs the command lines.
package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"culvert/cmd/cloud/internal/advice"
	"culvert/cmd/cloud/internal/cfn"
	"culvert/internal/aws"
	"culvert/internal/term"
)

func main() { term.Main(program(aws.Programs{})) }

// story is a command about a deployment, and one target of the Makefile.
type story struct {
	name, summary string
	run           func(context.Context, *cloud) error
	onCtrlC       string // what is true then, and how to go on
}

const goesOn = "What CloudFormation has begun goes on by itself. To watch it and to go on:\n  make %s\nTo end everything:\n  make destroy"

var stories = []story{
	{"deploy", "bring Culvert to your AWS account, and print the first link", deploy, goesOn},
	{"update", "bring a new origin without cutting anybody off", update, goesOn},
	{"status", "say how it does: health, users, bytes, money", status, "Nothing was changed."},
	{"report", "ask what only a live account can answer, and print it for pasting", report, "Nothing was changed."},
	{"link", "make a link for USER", link, "Nothing was changed."},
	{"rotate", "make new secrets; links of the last ones go on working until the next time", rotate,
		"What CloudFormation has begun goes on by itself: make status says of which generation the secrets are. " +
			"If it is one more than before, the rotation is done: do not rotate twice."},
	{"fronts", "tell users of FRONT and of what is to WITHDRAW, or show what they are told", tellFronts,
		"If it showed what users are told, that holds. To look: make fronts"},
	{"revoke", "make USER's links void", revoke, "If it said that the user is revoked, that holds. If not, run it again."},
	{"publish", "fill a bucket with a release, from which others deploy by a button", publish, "What was uploaded stays. Run it again: it goes on from there."},
	{"destroy", "remove everything, and all cost", destroy, "What was begun goes on by itself. To watch it and to remove the rest:\n  make %s"},
}

const about = `Takes Culvert to an AWS account and back.

Usually called as "make COMMAND [VARIABLE=value ...]", with the variables
PROFILE REGION STACK TOPOLOGY DISTRIBUTIONS INSTANCE ARCH BUDGET EMAIL SET USERS
EDGE USER FRONT WITHDRAW REMOVE RENEW DOCTOR BUCKET and YES=1.`

// program is the table of the commands, which run other programs by r.
func program(r aws.Runner) term.Program {
	p := term.Program{Name: "cloud", About: about}
	for _, s := range stories {
		run := func(ctx context.Context, args []string, stdout, _ io.Writer) error {
			return s.tell(ctx, args, r, stdout)
		}
		p.Commands = append(p.Commands, term.Command{Name: s.name, Summary: s.summary, Run: run})
	}
	p.Commands = append(p.Commands, term.Command{Name: "cost", Summary: "say what a month on AWS costs", Run: runCost}, term.Version("cloud"))
	return p
}

// tell runs the story. What goes wrong in it is said on the console, with what
// to try: the exit code is then 1, and 130 after Ctrl-C.
func (s story) tell(ctx context.Context, args []string, r aws.Runner, out io.Writer) error {
	o, err := parse(s.name, s.summary, args, out)
	if err != nil {
		return err
	}
	c := newCloud(o, r, term.NewConsole(out))
	err = s.run(ctx, c)
	c.Show("")
	switch {
	case ctx.Err() != nil:
		c.Step(term.Warned, 0, "Interrupted.")
		c.Hint("%s", strings.ReplaceAll(s.onCtrlC, "%s", s.name))
		return term.ExitCode(130)
	case err != nil:
		c.report(err)
		return term.ExitCode(1)
	}
	return nil
}

// cloud is a deployment, with what a story needs to work on it.
type cloud struct {
	options
	*cfn.Client // its stack, and the AWS command line and the console with it
	tools
	account account // known once signIn was called
	tested  string  // what came out of the first link's test
}

func newCloud(o options, r aws.Runner, console *term.Console) *cloud {
	return &cloud{options: o, Client: &cfn.Client{CLI: &aws.CLI{Runner: r, Target: o.Target}, Console: console}, tools: tools{look: find}}
}

// agrees is true for a yes, which --yes gives to every question.
func (c *cloud) agrees(question string) bool { return c.yes || c.Ask(question) }

// explain adds advice to an error of AWS's.
func (c *cloud) explain(err error) error { return advice.Explain(*c.Target, err) }

// report says what went wrong, what the command line said, and what to try.
func (c *cloud) report(err error) {
	var a *advice.Advice
	if !errors.As(c.explain(err), &a) {
		a = &advice.Advice{Problem: "this failed", Try: "Running the same command again is safe: what is done stays done.", Err: err}
	}
	c.Step(term.Bad, 0, "%s%s", strings.ToUpper(a.Problem[:1]), a.Problem[1:])
	if a.Err != nil {
		c.Quote(a.Err.Error())
	}
	c.Hint("%s", c.runnable(a.Try))
}

// firstLine is how an error is told that is no reason to stop.
func firstLine(err error) string {
	line, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return line
}
