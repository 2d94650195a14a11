package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// flags is a FlagSet that knows its own help and takes flags before, between
// and after arguments.
type flags struct {
	*flag.FlagSet        // its name is the whole command, "culvert link new"
	usage         string // what follows the name in the usage line
	about         string // what the command does, what it prints, and an example
}

func newFlags(name, usage, about string) *flags {
	f := &flags{flag.NewFlagSet(name, flag.ContinueOnError), usage, about}
	f.SetOutput(io.Discard) // errors are returned, help goes where it is asked for
	return f
}

// parse returns the arguments that are no flags. For --help it prints the help
// and returns flag.ErrHelp; any other error is a usageError.
func (f *flags) parse(args []string, stdout io.Writer) (rest []string, err error) {
	for {
		switch err := f.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			fmt.Fprint(stdout, f.help())
			return nil, flag.ErrHelp
		case err != nil:
			return nil, f.wrong("%v", err)
		}
		left := f.Args()
		if ended := len(left) < len(args) && args[len(args)-len(left)-1] == "--"; ended || len(left) == 0 {
			return append(rest, left...), nil
		}
		rest, args = append(rest, left[0]), left[1:]
	}
}

// none parses args of a command that takes flags only.
func (f *flags) none(args []string, stdout io.Writer) error {
	rest, err := f.parse(args, stdout)
	if err == nil && len(rest) > 0 {
		err = f.wrong("unexpected argument %q", rest[0])
	}
	return err
}

// wrong is a usageError that leads to this command's help.
func (f *flags) wrong(format string, args ...any) error {
	return usageError{f.Name(), fmt.Sprintf(format, args...)}
}

func (f *flags) help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s\n\n%s\n", strings.TrimSpace(f.Name()+" "+f.usage), strings.TrimSpace(f.about))
	b.WriteString("\nFlags:\n")
	f.VisitAll(func(one *flag.Flag) {
		value, text := flag.UnquoteUsage(one)
		if one.DefValue != "" && one.DefValue != "false" {
			text += " (default " + one.DefValue + ")"
		}
		fmt.Fprintf(&b, "  --%s\n      %s\n", strings.TrimSpace(one.Name+" "+value), strings.Join(wrap(text, 73), "\n      "))
	})
	b.WriteString("  --help\n      print this\n")
	return b.String()
}

// texts is a flag that may be given more than once.
type texts []string

func (t *texts) String() string { return strings.Join(*t, " ") }

// Set adds s.
func (t *texts) Set(s string) error {
	*t = append(*t, s)
	return nil
}
