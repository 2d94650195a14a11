package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"culvert/cmd/cloud/internal/advice"
	"culvert/cmd/cloud/internal/cfn"
	"culvert/internal/aws"
	"culvert/internal/term"
)

// link makes a link for a user and shows it.
func link(ctx context.Context, c *cloud) error {
	s, err := c.standing(ctx)
	if err != nil {
		return err
	}
	_, err = c.handOut(ctx, s)
	return err
}

// firstLink ends a deployment: a link for the first user, and whether it works.
func (c *cloud) firstLink(ctx context.Context) error {
	s, err := c.Describe(ctx, c.Stack)
	if err != nil {
		return err
	}
	text, err := c.handOut(ctx, s)
	if err != nil {
		return err
	}
	if c.doctorTries > 0 {
		err := c.doctor(ctx, text)
		c.tested = yes(err == nil)
		if ctx.Err() == nil {
			c.findings(ctx, s) // the end of the deployment is no failure for want of a report
		}
		if err != nil {
			return err
		}
	}
	c.Title("What next")
	c.Hint("  make link USER=2    a link for the next person; a number for each\n  make status         how it does, and what it costs\n" +
		"  make destroy        ends everything, and all cost")
	return nil
}

// handOut prints the link of the chosen user, and its QR code, and returns it.
// The secrets go from one program to the other in memory.
func (c *cloud) handOut(ctx context.Context, s cfn.Stack) (string, error) {
	args, err := c.linkArgs(s)
	if err != nil {
		return "", err
	}
	master, err := c.secret(ctx, s.Output("MasterSecret"))
	if err != nil {
		return "", err
	}
	gate, err := c.secret(ctx, s.Output("GateSecret"))
	if err != nil {
		return "", err
	}
	defer clear(master)
	defer clear(gate)
	made := aws.Call{Name: c.culvertPath, Args: args, Secrets: [][]byte{master, gate}}
	text, err := c.Run(ctx, made)
	if err != nil {
		return "", err
	}
	c.Title(fmt.Sprintf("Link for user %d. It is a secret: whoever has it can use your deployment", c.user))
	made.Args, made.Show = append(args, "--qr"), c.Console
	_, err = c.Run(ctx, made)
	return string(text), err
}

// linkArgs names the fronts in the order in which to try them: the stream door
// is faster and costs less, the gateway door is there when it is blocked.
func (c *cloud) linkArgs(s cfn.Stack) ([]string, error) {
	names, err := c.frontNames(s)
	if err != nil {
		return nil, err
	}
	args := []string{"link", "new", "--user", fmt.Sprint(c.user), "--secret-file", aws.SecretFile(0), "--gate-file", aws.SecretFile(1)}
	for _, name := range names {
		args = append(args, "--front", "wss://"+name+"/")
	}
	if gateway := s.Output("Gateway"); gateway != "" {
		args = append(args, "--front", gateway+";door=gateway")
	}
	return args, nil
}

// secret reads a secret from Secrets Manager. It is never written down.
func (c *cloud) secret(ctx context.Context, name string) ([]byte, error) {
	if name == "" {
		return nil, advice.New("Deploy it again: make deploy", "the deployment does not name its secrets")
	}
	b, err := c.Answer(ctx, "secretsmanager", "get-secret-value", "--secret-id", name, "--query", "SecretString", "--output", "text")
	return bytes.TrimSpace(b), err
}

// front is a distribution. Its number is the template's and stays with its
// name, also when one before it is withdrawn.
type front struct {
	number int
	name   string
}

func (f front) String() string { return fmt.Sprintf("front %d (%s)", f.number, f.name) }

// fronts are the distributions that there are.
func fronts(s cfn.Stack) (all []front) {
	names := strings.Fields(s.Output("Fronts"))
	numbers := frontNumbers(s.Parameter("Distributions"), s.Parameter("Withdrawn"))
	for i, name := range names {
		f := front{i + 1, name}
		if len(numbers) == len(names) {
			f.number = numbers[i]
		}
		all = append(all, f)
	}
	return all
}

// frontNumbers are those that the template makes for these two parameters.
func frontNumbers(distributions, withdrawn string) (all []int) {
	n, _ := strconv.Atoi(distributions) // of a stack that does not say it, none
	for number := 1; number <= n; number++ {
		if !strings.Contains(withdrawn, strconv.Itoa(number)) {
			all = append(all, number)
		}
	}
	return all
}

// frontNames are those that a link is to hold: all, or the one that was chosen.
func (c *cloud) frontNames(s cfn.Stack) (names []string, err error) {
	all := fronts(s)
	for _, f := range all {
		if c.front == 0 || c.front == f.number {
			names = append(names, f.name)
		}
	}
	if c.front > 0 && len(names) == 0 {
		return nil, noFront(c.front, len(all))
	}
	return names, nil
}

func noFront(number, there int) error {
	return advice.New(fmt.Sprintf("It has %d, which make status shows; more are made with: make deploy DISTRIBUTIONS=n", there),
		"the deployment has no front %d", number)
}

// doctorPause is time for new fronts to become known at more of CloudFront.
const doctorPause = 30 * time.Second

// standInRoot is for tests, where a stand-in is in WhatsApp's place: the key
// that chat is to prove itself by. We say so, and so does doctor's verdict.
const standInRoot = "CULVERT_STAND_IN_ROOT"

// doctor tests every front of the link.
func (c *cloud) doctor(ctx context.Context, text string) error {
	c.Title("Testing every front and door")
	ask := aws.Call{Name: c.culvertPath, Args: []string{"doctor", "--link-file", "-", "--names", "--every"}, Stdin: text, Show: c.Console}
	if root := os.Getenv(standInRoot); root != "" {
		c.Step(term.Warned, 0, "%s is set, which is for tests: this does not ask whether WhatsApp answers.", standInRoot)
		ask.Args = append(ask.Args, "--chat-root", root)
	}
	for try := 1; ; try++ {
		_, err := c.Run(ctx, ask)
		switch {
		case err == nil || ctx.Err() != nil:
			return ctx.Err()
		case try >= c.doctorTries:
			return &advice.Advice{Problem: "it is deployed, and not all of it works yet", Err: err,
				Try: "New fronts need some minutes until all of CloudFront knows them. Test again with:\n  bin/culvert doctor, and paste the link\nIf chat fails there and not " +
					"from the origin, this network blocks the front: make deploy DISTRIBUTIONS=n makes more of them."}
		}
		c.Step(term.Warned, 0, "Trying again in %s: new fronts need some minutes until all of CloudFront knows them.", term.Span(doctorPause))
		if err := aws.Pause(ctx, doctorPause); err != nil {
			return err
		}
	}
}

// revoke makes a user's links void.
func revoke(ctx context.Context, c *cloud) error {
	s, err := c.standing(ctx)
	if err != nil {
		return err
	}
	name := s.Output("RevokedParameter")
	all, err := c.parameter(ctx, name)
	if err != nil {
		return err
	}
	next := addRevoked(all, c.user)
	if len(next) > maxRevoked {
		return advice.New("Rotate instead (make rotate, hand out new links, make rotate): links of old secrets end, and the list may begin anew.",
			"the list of revoked users is full")
	}
	err = c.Call(ctx, nil, "ssm", "put-parameter", "--name", name, "--type", "String", "--overwrite", "--value", next)
	if err != nil {
		return err
	}
	c.Step(term.Good, 0, "User %d is revoked; the origin hears of it within some minutes. Give the person a link with a number that was never used: make link USER=n", c.user)
	return nil
}

// maxRevoked is Parameter Store's limit for a standard parameter, in bytes.
const maxRevoked = 4096

// parameter is what a parameter of the stack holds; empty: it is not there.
func (c *cloud) parameter(ctx context.Context, name string) (string, error) {
	var answer struct{ Parameter struct{ Value string } }
	err := c.Call(ctx, &answer, "ssm", "get-parameter", "--name", name)
	if err != nil && strings.Contains(err.Error(), "ParameterNotFound") {
		return "", nil
	}
	return answer.Parameter.Value, err
}

// addRevoked gives the list with user in it, in order and once.
func addRevoked(list string, user uint) string {
	numbers := []uint{user}
	for _, word := range strings.Fields(list) {
		if n, err := strconv.ParseUint(word, 10, 32); err == nil {
			numbers = append(numbers, uint(n))
		}
	}
	slices.Sort(numbers)
	var words []string
	for _, n := range slices.Compact(numbers) {
		words = append(words, fmt.Sprint(n))
	}
	return strings.Join(words, " ")
}
