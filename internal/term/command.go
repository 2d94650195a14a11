package term

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

	"culvert/internal/lang"
	"culvert/internal/secret"
	"culvert/internal/version"
)

// Program is a table of commands: a whole program, or a word of one that has
// commands of its own.
type Program struct {
	Name     string // what is typed before the command, "culvert link" for example
	About    string // what the program is for; lines as they are to be shown
	Commands []Command

	// Language is the one to speak to a person by a command line, which may be wrong; nil: English.
	Language func(args []string) lang.Language
}

// Command is one word of the command line.
type Command struct {
	Name, Summary string

	// Run does what the command is for until ctx ends, which is when the user
	// or the system asks for an end. Args are what follows the command's name.
	// Its error is printed by Program.Run, unless it is an ExitCode.
	Run func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

// UsageError is a command line that says nothing we can do. Program.Run prints
// it, names the help of Command and returns 2.
type UsageError struct {
	Command string // as it is typed, "culvert link new" for example
	Problem string
}

func (e UsageError) Error() string { return e.Problem }

// BadInput is an error about what a user handed over, a file or a link for example: the
// exit code is 2, as with a wrong command line.
type BadInput struct{ Err error }

func (e BadInput) Error() string { return e.Err.Error() }
func (e BadInput) Unwrap() error { return e.Err }

// ExitCode is an error of a command that has told the user what is wrong:
// Program.Run prints nothing and returns the code.
type ExitCode int

func (c ExitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// Version is the command that says which build the named program is.
func Version(name string) Command {
	run := func(_ context.Context, args []string, stdout, _ io.Writer) error {
		f := NewFlags(name+" version", "", "Prints the version, the commit and the Go that the program was built from.\n\nExample:\n  "+name+" version")
		if err := f.ParseNone(args, stdout); err != nil {
			return err
		}
		_, err := fmt.Fprintf(stdout, "%s %s\n", name, version.String())
		return err
	}
	return Command{"version", "say which commit this is, and which Go built it", run}
}

// Main runs p with the process's arguments and ends the process. The first
// signal that asks for an end ends the command's context, and a second one
// ends the process at once.
func Main(p Program) {
	secret.Guard()
	ctx, stop := signal.NotifyContext(context.Background(), endSignals()...)
	context.AfterFunc(ctx, stop)
	code := p.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// endSignals ask for an orderly end. A terminal that goes away sends SIGHUP;
// whoever has the process ignore that, as nohup does, wants it to go on.
func endSignals() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

// Run runs the command that args name. It returns the process's exit code: 0
// when all went well or help was asked for, 2 when the command line or what it names is
// wrong, what an ExitCode says, and 1 for every other error.
func (p Program) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := p.Dispatch(ctx, args, stdout, stderr)
	var code ExitCode
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	l := lang.English
	if p.Language != nil {
		l = p.Language(args)
	}
	var usage UsageError
	if errors.As(err, &usage) {
		fmt.Fprintf(stderr, "%s: %s\n%s\n", p.Name, l.Line(l.Sentence(err.Error())), l.Line(l.Text("Try: %s --help", usage.Command)))
		return 2
	}
	fmt.Fprintf(stderr, "%s: %s\n", p.Name, l.Line(l.Sentence(err.Error())))
	if errors.As(err, new(BadInput)) {
		return 2
	}
	return 1
}

// Dispatch runs the command of p that the first of args names, and returns its
// error; help that was asked for is printed and is no error. Commands that have
// commands of their own call it.
func (p Program) Dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, p.help())
		return UsageError{p.Name, "say which command to run"}
	}
	word := args[0]
	switch word {
	case "help":
		if len(args) > 1 {
			return p.Dispatch(ctx, []string{args[1], "--help"}, stdout, stderr)
		}
		fallthrough
	case "-h", "-help", "--help":
		_, err := io.WriteString(stdout, p.help())
		return err
	case "-version", "--version":
		word = "version"
	}
	for _, c := range p.Commands {
		if c.Name == word {
			return c.Run(ctx, args[1:], stdout, stderr)
		}
	}
	return UsageError{p.Name, p.unknown(args[0])}
}

// help is the text that lists the commands.
func (p Program) help() string {
	return fmt.Sprintf("%s\n\nUsage: %s COMMAND [flags]\n\n%s\n%[2]s COMMAND --help says more about one of them, with an example.\n", p.About, p.Name, p.List())
}

// List names the commands, a line each under a heading: for the help of a program that is more than they are.
func (p Program) List() string {
	var b strings.Builder
	b.WriteString("Commands:\n")
	for _, c := range p.Commands {
		fmt.Fprintf(&b, "  %-9s %s\n", c.Name, c.Summary)
	}
	return b.String()
}

// unknown names the command that was probably meant.
func (p Program) unknown(word string) string {
	best, least := "", 3 // three wrong letters are another word
	for _, c := range p.Commands {
		if d := distance(word, c.Name); d < least && d < len(c.Name) {
			best, least = c.Name, d
		}
	}
	if best == "" {
		return fmt.Sprintf("there is no command %q", word)
	}
	return fmt.Sprintf("there is no command %q; did you mean %q?", word, best)
}

// distance is Levenshtein's: how many letters to add, drop or replace to make b
// of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Flags are the flags of one command. They know the command's help, and may be
// given before, between and after arguments. A command adds its flags by the
// methods of flag.FlagSet, calls ParseAll or ParseNone once, returns the error
// as it is, and says by Wrong what the flags cannot find out.
type Flags struct {
	*flag.FlagSet        // its name is the whole command, "culvert link new"
	usage         string // what follows the name in the usage line
	about         string // what the command does, what it prints, and an example
}

// NewFlags is for the command that is typed as name. Usage follows the name in
// the first line of the help, and about is the help's text: what the command
// does, what it prints, and an example.
func NewFlags(name, usage, about string) *Flags {
	f := &Flags{flag.NewFlagSet(name, flag.ContinueOnError), usage, about}
	f.SetOutput(io.Discard) // errors are returned, and the help goes where it is asked for
	return f
}

// ParseAll returns the arguments that are no flags. For --help it prints the
// help and returns flag.ErrHelp; any other error is a UsageError.
func (f *Flags) ParseAll(args []string, stdout io.Writer) (rest []string, err error) {
	for {
		switch err := f.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			fmt.Fprint(stdout, f.help())
			return nil, flag.ErrHelp
		case err != nil:
			return nil, f.Wrong("%s", asTyped(err.Error()))
		}
		left := f.Args()
		if ended := len(left) < len(args) && args[len(args)-len(left)-1] == "--"; ended || len(left) == 0 {
			return append(rest, left...), nil
		}
		rest, args = append(rest, left[0]), left[1:]
	}
}

// asTyped names a flag as the help does, where the library's text has it behind one hyphen.
func asTyped(problem string) string {
	for _, before := range []string{"flag provided but not defined: ", "flag needs an argument: "} {
		if name, ok := strings.CutPrefix(problem, before+"-"); ok {
			return before + "--" + name
		}
	}
	problem = strings.Replace(problem, `invalid boolean value "`, `invalid value "`, 1) // of a flag that may stand alone
	return strings.Replace(strings.Replace(problem, `" for flag -`, `" for flag --`, 1), `" for -`, `" for flag --`, 1)
}

// ParseNone is ParseAll for a command that takes flags only.
func (f *Flags) ParseNone(args []string, stdout io.Writer) error {
	rest, err := f.ParseAll(args, stdout)
	if err == nil && len(rest) > 0 {
		err = f.Wrong("unexpected argument %q", rest[0])
	}
	return err
}

// Given says whether the command line has the flag.
func (f *Flags) Given(name string) bool {
	given := false
	f.Visit(func(one *flag.Flag) { given = given || one.Name == name })
	return given
}

// Wrong is a UsageError that leads to this command's help.
func (f *Flags) Wrong(format string, args ...any) error {
	return UsageError{f.Name(), fmt.Sprintf(format, args...)}
}

func (f *Flags) help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s\n\n%s\n", strings.TrimSpace(f.Name()+" "+f.usage), strings.TrimSpace(f.about))
	b.WriteString("\nFlags:\n")
	f.VisitAll(func(one *flag.Flag) {
		value, text := flag.UnquoteUsage(one)
		if one.DefValue != "" && one.DefValue != "false" {
			text += " (default " + one.DefValue + ")"
		}
		fmt.Fprintf(&b, "  --%s\n      %s\n", strings.TrimSpace(one.Name+" "+value), strings.Join(Wrap(text, 73), "\n      "))
	})
	b.WriteString("  --help\n      print this\n")
	return b.String()
}

// Texts adds a flag that may be given more than once, and keeps its values in to.
func (f *Flags) Texts(to *[]string, name, usage string) {
	f.Func(name, usage, func(s string) error { *to = append(*to, s); return nil })
}

// Record has what the command line says kept in to as well, a "--name=value" for each flag in its order, so that
// another process can be told the same.
func (f *Flags) Record(to *[]string) {
	f.VisitAll(func(one *flag.Flag) { one.Value = recorded{one.Value, one.Name, to} })
}

type recorded struct {
	flag.Value
	name string
	to   *[]string
}

func (r recorded) Set(s string) error {
	err := r.Value.Set(s)
	if err == nil {
		*r.to = append(*r.to, "--"+r.name+"="+s)
	}
	return err
}

// IsBoolFlag asks the flag itself: the library wants no value of one that is.
func (r recorded) IsBoolFlag() bool {
	b, is := r.Value.(interface{ IsBoolFlag() bool })
	return is && b.IsBoolFlag()
}
