package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"culvert/internal/term"
)

// Program has the commands that look after an origin on a machine.
var Program = term.Program{
	Name: "culvert-origin",
	About: "Sets up an origin on this machine and looks after it. Without a command it is the origin itself, as the\n" +
		"service runs it: culvert-origin --help lists the settings.",
	Commands: []term.Command{
		{Name: "setup", Summary: "make this machine an origin, or finish that", Run: runSetup},
		{Name: "link", Summary: "make a link for the next person", Run: runLink},
		{Name: "update", Summary: "bring this program into service without cutting anybody off", Run: runUpdate},
		{Name: "backup", Summary: "write all that must not be lost into a file", Run: runBackup},
		{Name: "restore", Summary: "bring that onto a new machine", Run: runRestore},
		{Name: "remove", Summary: "take the origin off this machine", Run: runRemove},
	},
}

// Has reports whether the first of a program's arguments is one of the commands.
func Has(args []string) bool {
	for _, c := range Program.Commands {
		if len(args) > 0 && args[0] == c.Name {
			return true
		}
	}
	return false
}

// readied is this machine, for who may change it and where there is an origin.
func readied(ctx context.Context) (*host, error) {
	h, err := thisHost()
	if err == nil {
		err = h.check(ctx)
	}
	if err == nil && (h.current() == 0 || !h.exists(secretFile)) {
		err = errNotSetUp
	}
	return h, err
}

const linkAbout = `
Prints a link for one person with its QR code. Each call counts one up, so that each
link can be revoked alone; --user makes the link of a number again. To revoke one, add its
number to /etc/culvert/revoked.

Examples:
  culvert-origin link
  culvert-origin link --user 7 --qr-file link.png`

func runLink(ctx context.Context, args []string, stdout, _ io.Writer) error {
	f := term.NewFlags("culvert-origin link", "[--user NUMBER]", linkAbout)
	number := f.Uint64("user", 0, "`NUMBER` of a person who has a link already")
	qrFile := f.String("qr-file", "", "`FILE` that gets a picture of the link's QR code; its name ends in .png or .svg")
	if err := f.ParseNone(args, stdout); err != nil {
		return err
	}
	if *number > math.MaxUint32 || f.Given("user") && *number == 0 {
		return f.Wrong("--user is a number from 1 to %d", uint32(math.MaxUint32))
	}
	if *qrFile != "" && !term.IsPicture(*qrFile) {
		return f.Wrong("--qr-file makes a picture, and its name ends in .png or .svg")
	}
	h, err := readied(ctx)
	if err != nil {
		return err
	}
	return h.link(uint32(*number), *qrFile, term.NewConsole(stdout))
}

// link hands out the link of a number, or of the next one if that is 0.
func (h *host) link(number uint32, qrFile string, out *term.Console) error {
	last, err := strconv.ParseUint(strings.TrimSpace(h.read(usersFile)), 10, 32)
	switch {
	case number == 0 && err != nil:
		return fmt.Errorf("%s, the number of the last link, is lost: make one with --user, of a number that nobody has", usersFile)
	case number == 0 && last == math.MaxUint32:
		return errors.New("all numbers are used up: make a new origin")
	case number == 0:
		number = uint32(last) + 1
	}
	l, err := h.linkFor(number)
	if err != nil {
		return err
	}
	if uint64(number) > last {
		if err := h.write(usersFile, fmt.Sprintln(number), 0o644); err != nil {
			return err
		}
	}
	out.Title(fmt.Sprintf("The link of person %d", number))
	return handOut(out, l, qrFile)
}

const updateAbout = `
Brings this program into service, run from where it was downloaded to: it is started
beside the one that serves, on the same port. If it is well within 20 seconds it takes
over, and the old one serves what it holds, for 15 minutes at most; else it is removed
and nothing changes. Links and settings stay.

Example:
  ./culvert-origin update`

func runUpdate(ctx context.Context, args []string, stdout, _ io.Writer) error {
	if err := term.NewFlags("culvert-origin update", "", updateAbout).ParseNone(args, stdout); err != nil {
		return err
	}
	h, err := readied(ctx)
	if err != nil {
		return err
	}
	return h.update(ctx, term.NewConsole(stdout))
}

const removeAbout = `
Stops the origin and removes it: program, service and user. Secret, settings and
certificate stay in /etc/culvert, so that culvert-origin setup brings it back with the
same links; --everything removes them, too, and all links are void for ever.

Example:
  culvert-origin remove`

func runRemove(ctx context.Context, args []string, stdout, _ io.Writer) error {
	f := term.NewFlags("culvert-origin remove", "[--everything --yes]", removeAbout)
	everything := f.Bool("everything", false, "remove the secret, too")
	yes := f.Bool("yes", false, "do not ask")
	if err := f.ParseNone(args, stdout); err != nil {
		return err
	}
	h, err := thisHost()
	if err == nil {
		err = h.check(ctx)
	}
	if err != nil {
		return err
	}
	out := term.NewConsole(stdout)
	if *everything && !*yes && !out.Ask("All links become void for ever. Remove the secret?") {
		return f.Wrong("nothing was removed; --yes says so without a question")
	}
	return h.remove(ctx, *everything, out)
}
