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

	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/secret"
	"culvert/internal/term"
)

const frontsAbout = `Fronts get blocked. An origin tells its users of others, by lists that the master
secret signs: they need no new link. The lists are in one file, which goes to the
origins (CULVERT_FRONTS) and which they read again when it changes; each client hears
of its list by the carriers that it has, and keeps it.`

var frontsProgram = term.Program{
	Name:  "culvert link fronts",
	About: frontsAbout,
	Commands: []term.Command{
		{Name: "publish", Summary: "tell all users, or a group of them, of these fronts", Run: frontsPublish},
		{Name: "withdraw", Summary: "have fronts not be used any more", Run: frontsWithdraw},
		{Name: "renew", Summary: "let the lists hold for longer", Run: frontsRenew},
		{Name: "remove", Summary: "make a group none any more", Run: frontsRemove},
		{Name: "show", Summary: "say what the file holds", Run: frontsShow},
	},
}

const frontsFile = `
The file is made if it is not there. With --file - it is read from the standard input and
the new one is written to the standard output. Its lists are for links of the secrets in
--secret-file, of which there may be several.
`

const publishAbout = frontsFile + `
The fronts, as in culvert link new, are tried in their order, before those of the link;
they replace what the group was told before. What was withdrawn stays so, but for what is
published again.

Examples:
  culvert link fronts publish --secret-file secret --file fronts --front wss://d222222abcdef8.cloudfront.net/
  culvert link fronts publish --secret-file secret --file fronts --users 1-50,77 \
    --front wss://two.example/ --withdraw one.example`

// frontsOptions is the command line of "culvert link fronts".
type frontsOptions struct {
	flags    *term.Flags
	secret   string
	file     string
	users    string
	withdraw []string
	// dropOthers leaves lists out that other secrets have signed.
	dropOthers bool
	days       int
	leastDays  int
	newOptions
	now func() time.Time
}

func newFrontsOptions(name, usage, about string) *frontsOptions {
	o := &frontsOptions{flags: term.NewFlags("culvert link fronts "+name, "--secret-file FILE --file FILE "+usage, about), days: 180, leastDays: 1, now: time.Now}
	o.newOptions.flags = o.flags
	o.flags.StringVar(&o.secret, "secret-file", "", "`FILE` with the master secret, from culvert link secret, or with up to 4 of them; - is the standard input")
	o.flags.StringVar(&o.file, "file", "", "`FILE` of the lists; - is the standard input and output")
	o.flags.BoolVar(&o.dropOthers, "drop-others", false, "leave out the lists that none of the secrets has signed, as of a secret that was replaced")
	return o
}

func (o *frontsOptions) usersFlag(what string) {
	o.flags.StringVar(&o.users, "users", "", "`NUMBERS`, such as 1-50,77, or all: "+what)
}

func (o *frontsOptions) daysFlag() {
	o.flags.IntVar(&o.days, "days", 180, "`NUMBER` of days for which what is told holds")
}

func (o *frontsOptions) withdrawFlag() {
	o.flags.Texts(&o.withdraw, "withdraw", "`WHAT` is not to be used any more: a whole front, or HOST for all fronts that ask for it; may be repeated")
}

// run reads the file, has change do its work on the groups, and writes it anew.
func (o *frontsOptions) run(args []string, stdout io.Writer, change func(*lists) error) error {
	if err := o.flags.ParseNone(args, stdout); err != nil {
		return err
	}
	switch {
	case o.secret == "" || o.file == "":
		return o.flags.Wrong("--secret-file and --file are needed: the master secret, and the file that the origin reads")
	case o.secret == "-" && o.file == "-":
		return o.flags.Wrong("--secret-file and --file are both the standard input: name a file for one of them")
	case o.days < o.leastDays || o.days > maxDays:
		return o.flags.Wrong("--days is %d to %d", o.leastDays, maxDays)
	}
	l, err := o.read()
	if err != nil {
		return err
	}
	if err := change(l); err != nil {
		return err
	}
	return o.write(l, stdout)
}

const maxDays = 3650

// lists are the groups of a file while it is changed.
type lists struct {
	masters []seal.Master
	groups  []listGroup
	now     time.Time
	old     int // signed lists in the file
}

// listGroup is a group of users and what it is told.
type listGroup struct {
	users link.Users
	list  link.List
}

func (o *frontsOptions) read() (*lists, error) {
	text, err := secret.Read(o.secret, os.Stdin)
	if err != nil {
		return nil, term.BadInput{Err: fmt.Errorf("read secret: %w", err)}
	}
	masters, _ := sortSecrets(text)
	l := &lists{now: o.now()}
	if l.masters, err = seal.ParseMasters(masters); err != nil {
		return nil, term.BadInput{Err: fmt.Errorf("read secret: %w", err)}
	}
	file, err := o.readFile()
	if err != nil {
		return nil, term.BadInput{Err: fmt.Errorf("read lists: %w", err)}
	}
	var keys []seal.PublicKey
	for _, m := range l.masters {
		keys = append(keys, m.PublicKey())
	}
	all, others, err := link.ParsePublished(file, keys)
	if err != nil {
		return nil, term.BadInput{Err: fmt.Errorf("read lists: %w", err)}
	}
	if others > 0 && !o.dropOthers {
		return nil, fmt.Errorf("read lists: none of these secrets has signed %d of its lists: add the older secrets to --secret-file, "+
			"or, if their links are void, have the lists left out by --drop-others", others)
	}
	l.old = len(all)
	for _, p := range all {
		if l.find(p.Users) == nil { // else it is for the links of another secret
			l.groups = append(l.groups, listGroup{p.Users, *p.List})
		}
	}
	return l, nil
}

// readFile is the old file, or nothing if there is none.
func (o *frontsOptions) readFile() (string, error) {
	if o.file == "-" {
		b, err := io.ReadAll(io.LimitReader(os.Stdin, maxLists+1))
		return string(b), err
	}
	info, err := os.Stat(o.file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case info.Size() > maxLists:
		return "", fmt.Errorf("it is larger than %d bytes", maxLists)
	}
	b, err := os.ReadFile(o.file)
	return string(b), err
}

// maxLists bounds the file, in bytes.
const maxLists = 1 << 20

// find is the group of these users; nil: there is none.
func (l *lists) find(users link.Users) *listGroup {
	i := slices.IndexFunc(l.groups, func(g listGroup) bool { return g.users.Equal(users) })
	if i < 0 {
		return nil
	}
	return &l.groups[i]
}

// version is that of all lists that are made now: whoever changes groups is told, too.
func (l *lists) version() uint32 {
	next := uint32(l.now.Unix())
	for _, g := range l.groups {
		next = max(next, g.list.Version+1)
	}
	return next
}

// sign makes the file.
func (l *lists) sign() (all link.Published, err error) {
	version := l.version()
	for i := range l.groups {
		g := &l.groups[i]
		g.list.Version = version
		for _, m := range l.masters {
			signed, err := g.list.Sign(m)
			if err != nil {
				return nil, fmt.Errorf("make the list for users %s: %w", g.users, err)
			}
			all = append(all, link.PublishedList{Users: g.users, Origin: m.PublicKey(), List: &g.list, Signed: signed})
		}
	}
	return all, nil
}

func (o *frontsOptions) write(l *lists, stdout io.Writer) error {
	all, err := l.sign()
	if err != nil {
		return err
	}
	if o.file == "-" {
		_, err := io.WriteString(stdout, all.Text())
		return err
	}
	if err := replaceFile(o.file, all.Text()); err != nil {
		return fmt.Errorf("write lists: %w", err)
	}
	l.explain(stdout)
	return nil
}

// replaceFile writes a file as a whole, with the mode of the old one, or for its owner alone.
func replaceFile(name, text string) error {
	mode := os.FileMode(0o600)
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
	}
	return secret.Write(name, []byte(text), mode)
}

// explain says what all are told.
func (l *lists) explain(w io.Writer) {
	if len(l.groups) == 0 {
		fmt.Fprintln(w, "Nobody is told of any front.")
	}
	for _, g := range l.groups {
		state := "holds until"
		if !l.now.Before(g.list.Expires) {
			state = "has not held since"
		}
		fmt.Fprintf(w, "Users %s: list %d, made on %s, %s %s\n", g.users, g.list.Version, day(g.list.Made()), state, day(g.list.Expires))
		for i, f := range g.list.Fronts {
			fmt.Fprintf(w, "  front %d    %s\n", i+1, f)
		}
		if n := len(g.list.Withdrawn); n > 0 {
			fmt.Fprintf(w, "  withdrawn  %d, by what only those know who have such a front\n", n)
		}
	}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func frontsPublish(_ context.Context, args []string, stdout, _ io.Writer) error {
	o := newFrontsOptions("publish", "--front URL [flags]", publishAbout)
	o.usersFlag("whom to tell (default all who are in no other group)")
	o.flags.Texts(&o.fronts, "front", "`URL` of an edge, with its options, as in culvert link new; repeat it for more, the first is tried first")
	o.flags.Texts(&o.pins, "pin", "`CERT.pem`, a certificate whose key every front must show; may be repeated")
	o.withdrawFlag()
	o.daysFlag()
	return o.run(args, stdout, o.publish)
}

func (o *frontsOptions) publish(l *lists) error {
	if len(o.fronts) == 0 {
		return o.flags.Wrong("--front is missing: which front are they to use, for example --front wss://edge.example/; to withdraw some alone: culvert link fronts withdraw")
	}
	g, err := o.group(l)
	if err != nil {
		return err
	}
	if g.list.Fronts, err = o.readFronts(); err != nil {
		return err
	}
	g.list.Withdrawn = slices.DeleteFunc(g.list.Withdrawn, func(w link.Withdrawal) bool {
		one := link.List{Withdrawn: []link.Withdrawal{w}}
		return slices.ContainsFunc(g.list.Fronts, one.Withdraws)
	})
	g.list.Expires = l.until(o.days)
	return o.withdrawFrom(g)
}

// until is the end of a list that is made now.
func (l *lists) until(days int) time.Time {
	return l.now.Add(time.Duration(days) * 24 * time.Hour).Truncate(time.Second)
}

// group is the one that --users names, which is made if there is none.
func (o *frontsOptions) group(l *lists) (*listGroup, error) {
	users := link.Everybody
	if o.users != "" {
		var err error
		if users, err = link.ParseUsers(o.users); err != nil {
			return nil, o.flags.Wrong("--users: %v", err)
		}
	}
	if g := l.find(users); g != nil {
		return g, nil
	}
	for _, g := range l.groups {
		if g.users.Meets(users) {
			return nil, o.flags.Wrong("--users %s: some of them are in the group %s; name that group, or remove it first: culvert link fronts remove --users %s",
				users, g.users, g.users)
		}
	}
	l.groups = append(l.groups, listGroup{users: users})
	return &l.groups[len(l.groups)-1], nil
}

// withdrawFrom adds --withdraw to what a group is told.
func (o *frontsOptions) withdrawFrom(g *listGroup) error {
	for i, s := range o.withdraw {
		w, err := link.ParseWithdrawal(s)
		if err != nil {
			return o.flags.Wrong("--withdraw, number %d of %d: %v", i+1, len(o.withdraw), err)
		}
		if !slices.Contains(g.list.Withdrawn, w) {
			g.list.Withdrawn = append(g.list.Withdrawn, w)
		}
	}
	return nil
}

const withdrawAbout = frontsFile + `
Clients leave such a front for another, and do not dial it again while their list holds,
also if their links have it. It is taken out of the lists that have it. Without --users
this is so for all groups. Whoever has no other front than those goes on by them.

Example:
  culvert link fronts withdraw --secret-file secret --file fronts --withdraw one.example`

func frontsWithdraw(_ context.Context, args []string, stdout, _ io.Writer) error {
	o := newFrontsOptions("withdraw", "--withdraw WHAT [flags]", withdrawAbout)
	o.usersFlag("for whom (default every group)")
	o.withdrawFlag()
	o.daysFlag()
	return o.run(args, stdout, o.withdrawAll)
}

func (o *frontsOptions) withdrawAll(l *lists) error {
	if len(o.withdraw) == 0 {
		return o.flags.Wrong("--withdraw is missing: a host, such as one.example, or a whole front")
	}
	if o.users != "" || l.find(link.Everybody) == nil {
		if _, err := o.group(l); err != nil {
			return err
		}
	}
	for i := range l.groups {
		g := &l.groups[i]
		if o.users != "" && !g.isNamed(o.users) {
			continue
		}
		if err := o.withdrawFrom(g); err != nil {
			return err
		}
		g.list.Fronts = slices.DeleteFunc(g.list.Fronts, g.list.Withdraws)
		g.list.Expires = l.until(o.days)
	}
	return nil
}

// isNamed reports whether g is the group of those users, in whatever spelling.
func (g *listGroup) isNamed(users string) bool {
	u, err := link.ParseUsers(users)
	return err == nil && u.String() == g.users.String()
}

const renewAbout = frontsFile + `
Clients take the new list by the carriers that they have. One that has expired is as none,
so renew it before. With --days 0 each holds as long as it did, and is signed by all secrets
that are given: when the secret was replaced, the links of both are told.

Example:
  culvert link fronts renew --secret-file secret --file fronts --days 365`

func frontsRenew(_ context.Context, args []string, stdout, _ io.Writer) error {
	o := newFrontsOptions("renew", "[flags]", renewAbout)
	o.daysFlag()
	o.leastDays = 0
	return o.run(args, stdout, func(l *lists) error {
		if len(l.groups) == 0 {
			return term.BadInput{Err: errNoLists}
		}
		for i := range l.groups {
			if o.days > 0 {
				l.groups[i].list.Expires = l.until(o.days)
			}
		}
		return nil
	})
}

var errNoLists = errors.New("the file holds no list: make one with culvert link fronts publish")

const removeAbout = frontsFile + `
Its users are told what all are told that are in no group. If nothing is, they keep what
they were told last until that expires.

Example:
  culvert link fronts remove --secret-file secret --file fronts --users 1-50,77`

func frontsRemove(_ context.Context, args []string, stdout, _ io.Writer) error {
	o := newFrontsOptions("remove", "--users NUMBERS", removeAbout)
	o.usersFlag("the group")
	return o.run(args, stdout, func(l *lists) error {
		before := len(l.groups)
		if before == 0 {
			return term.BadInput{Err: errNoLists}
		}
		l.groups = slices.DeleteFunc(l.groups, func(g listGroup) bool { return g.isNamed(o.users) })
		if len(l.groups) < before {
			return nil
		}
		var names []string
		for _, g := range l.groups {
			names = append(names, g.users.String())
		}
		return o.flags.Wrong("--users is one of the groups: %s", strings.Join(names, ", "))
	})
}

const showFrontsAbout = `
Says what each group of users is told. It names the fronts, so it is nothing to publish.

Example:
  culvert link fronts show --secret-file secret --file fronts`

func frontsShow(_ context.Context, args []string, stdout, _ io.Writer) error {
	o := newFrontsOptions("show", "", showFrontsAbout)
	if err := o.flags.ParseNone(args, stdout); err != nil {
		return err
	}
	if o.secret == "" || o.file == "" {
		return o.flags.Wrong("--secret-file and --file are needed: the master secret, and the file that the origin reads")
	}
	l, err := o.read()
	if err != nil {
		return err
	}
	l.explain(stdout)
	return nil
}
