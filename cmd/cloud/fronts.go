package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	"culvert/cmd/cloud/internal/advice"
	"culvert/cmd/cloud/internal/cfn"
	"culvert/internal/aws"
	"culvert/internal/term"
)

// frontNews is what "make fronts" is to do with the lists of fronts that users are told of.
type frontNews struct {
	publish  string // fronts, with spaces between: links' spelling, or numbers of distributions
	withdraw string // as publish, or hosts
	users    string // the group; empty: all who are in no other
	remove   string // the group that is to be none any more
	renew    string // for how many days from now on; 0: as long as they do; empty: as they are
}

func (p *frontNews) flags(f *term.Flags) {
	f.StringVar(&p.publish, "front", "", "`FRONTS` to tell of, with spaces between: as in wss://two.example/, or numbers of distributions")
	f.StringVar(&p.withdraw, "withdraw", "", "`FRONTS` not to be used any more, with spaces between: hosts, or numbers of distributions")
	f.StringVar(&p.users, "users", "", "`NUMBERS` of the users, such as 1-50,77; else all who are in no other group")
	f.StringVar(&p.remove, "remove", "", "`NUMBERS` of users that are to be no group any more")
	f.StringVar(&p.renew, "renew", "", "`NUMBER` of days for which the lists are to hold from now on; 0 has them signed anew alone")
}

// wrong says what cannot be done at once.
func (p *frontNews) wrong() string {
	kinds := 0
	for _, given := range []bool{p.publish != "" || p.withdraw != "", p.remove != "", p.renew != ""} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds > 1:
		return "give FRONT and WITHDRAW, or REMOVE, or RENEW: one of the three at a time"
	case p.users != "" && p.publish == "" && p.withdraw == "":
		return "USERS is whom FRONT or WITHDRAW is for: give one of them"
	}
	return ""
}

// command is what "culvert link fronts" is to do; none: it shows what there is.
func (p *frontNews) command(c *cloud, s cfn.Stack) ([]string, error) {
	switch {
	case p.remove != "":
		return []string{"remove", "--users", p.remove}, nil
	case p.renew != "":
		return []string{"renew", "--days", p.renew}, nil
	case p.publish == "" && p.withdraw == "":
		return nil, nil
	}
	fronts, err := c.frontWords(s, p.publish, "wss://%s/")
	if err != nil {
		return nil, err
	}
	withdrawn, err := c.frontWords(s, p.withdraw, "%s")
	if err != nil {
		return nil, err
	}
	args := []string{"publish"}
	if len(fronts) == 0 {
		args = []string{"withdraw"}
	}
	for _, f := range fronts {
		args = append(args, "--front", f)
	}
	for _, w := range withdrawn {
		args = append(args, "--withdraw", w)
	}
	if p.users != "" {
		args = append(args, "--users", p.users)
	}
	return args, nil
}

// frontWords are the words of a text, in which the number of a distribution becomes its name in format.
func (c *cloud) frontWords(s cfn.Stack, text, format string) (all []string, err error) {
	for _, word := range strings.Fields(text) {
		if n, err := strconv.Atoi(word); err == nil {
			name, err := c.frontName(s, n)
			if err != nil {
				return nil, err
			}
			word = fmt.Sprintf(format, name)
		}
		all = append(all, word)
	}
	return all, nil
}

func (c *cloud) frontName(s cfn.Stack, number int) (string, error) {
	all := fronts(s)
	for _, f := range all {
		if f.number == number {
			return f.name, nil
		}
	}
	return "", noFront(number, len(all))
}

// tellFronts tells users of fronts by lists that the deployment's origins hand on, and shows what all are told.
func tellFronts(ctx context.Context, c *cloud) error {
	s, err := c.standing(ctx)
	if err != nil {
		return err
	}
	args, err := c.frontNews.command(c, s)
	if err != nil {
		return err
	}
	l, err := c.lists(ctx, s)
	if err != nil {
		return err
	}
	defer clear(l.secrets)
	if len(args) > 0 {
		if err := l.change(ctx, args...); err != nil {
			return err
		}
	}
	if err := l.show(ctx); err != nil || len(args) == 0 {
		return err
	}
	c.Step(term.Good, 0, "The origin hears of it within some minutes, and whoever is connected within another.")
	return nil
}

// publishedLists are the lists of a deployment, with the secrets that sign them.
type publishedLists struct {
	*cloud
	name    string // of the parameter
	text    string // of the file that "culvert link fronts" knows
	secrets []byte // one a line
}

// lists reads them, and the secrets of all links that are good.
func (c *cloud) lists(ctx context.Context, s cfn.Stack) (*publishedLists, error) {
	l := &publishedLists{cloud: c, name: s.Output("FrontsParameter"), secrets: make([]byte, 0, 2*secretLine)}
	if l.name == "" {
		return nil, advice.New("Bring this version to it first: make update", "the deployment has no place for lists of fronts")
	}
	text, err := c.parameter(ctx, l.name)
	if err != nil {
		return nil, err
	}
	if text != noLists {
		l.text = text
	}
	for _, name := range strings.Fields(s.Output("MasterSecrets")) {
		one, err := c.secret(ctx, name)
		if err != nil {
			return nil, err
		}
		l.secrets = append(append(l.secrets, one...), '\n')
		clear(one)
	}
	return l, nil
}

// secretLine is what a secret of the stack's takes in a file.
const secretLine = 65

// noLists is in the parameter while there are none: it cannot be empty.
const noLists = "none"

// maxFronts is Parameter Store's limit for an advanced parameter, in bytes.
const maxFronts = 8192

// change has the lists changed, signed and put where the origins find them. A list that none of the secrets has signed
// is for links that a rotation made void, as the stack names the secrets of all good ones: it is left out.
func (l *publishedLists) change(ctx context.Context, args ...string) error {
	changed, err := l.Run(ctx, l.call(append(args, "--drop-others")...))
	if err != nil && ctx.Err() == nil {
		return &advice.Advice{Problem: "the lists of fronts stay as they are", Err: err, Try: "To see what users are told: make fronts"}
	}
	if err != nil {
		return err
	}
	if len(changed) > maxFronts {
		return advice.New("Tell of fewer fronts, or fewer groups of them (make fronts REMOVE=numbers). Nothing was changed.",
			"the lists take %d bytes, and AWS keeps %d", len(changed), maxFronts)
	}
	l.text = string(bytes.TrimSpace(changed))
	return l.Call(ctx, nil, "ssm", "put-parameter", "--name", l.name, "--type", "String", "--tier", "Intelligent-Tiering",
		"--overwrite", "--value", l.text)
}

// call runs "culvert link fronts" on the lists, which take no file.
func (l *publishedLists) call(args ...string) aws.Call {
	words := append([]string{"link", "fronts"}, args...)
	return aws.Call{Name: l.culvertPath, Args: append(words, "--secret-file", aws.SecretFile(0), "--file", "-"),
		Stdin: l.text, Secrets: [][]byte{l.secrets}}
}

func (l *publishedLists) show(ctx context.Context) error {
	call := l.call("show", "--drop-others")
	call.Show = l.Console
	l.Title("What users are told")
	_, err := l.Run(ctx, call)
	return err
}

// signAnew has the lists signed by the new secrets, too, when there are any.
func (c *cloud) signAnew(ctx context.Context) error {
	s, err := c.Describe(ctx, c.Stack)
	if err != nil {
		return err
	}
	l, err := c.lists(ctx, s)
	if err != nil || l.text == "" {
		return err
	}
	defer clear(l.secrets)
	return l.change(ctx, "renew", "--days", "0")
}
