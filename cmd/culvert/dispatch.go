package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// usageError is a command line that says nothing we can do. Main exits with 2
// and names the help of command, "culvert link new" for example.
type usageError struct {
	command, problem string
}

func (e usageError) Error() string { return e.problem }

// dispatch runs the command of table that the first of args names. Name is
// what was typed so far.
func dispatch(ctx context.Context, name, about string, table []command, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, overview(name, about, table))
		return usageError{name, "say which command to run"}
	}
	switch args[0] {
	case "help":
		if len(args) > 1 {
			return dispatch(ctx, name, about, table, []string{args[1], "--help"}, stdout, stderr)
		}
		fallthrough
	case "-h", "-help", "--help":
		_, err := io.WriteString(stdout, overview(name, about, table))
		return err
	}
	for _, c := range table {
		if c.name == args[0] {
			return c.run(ctx, args[1:], stdout, stderr)
		}
	}
	return usageError{name, unknown(args[0], table)}
}

// overview is the help text of a table of commands.
func overview(name, about string, table []command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage: %s COMMAND [flags]\n\nCommands:\n", about, name)
	for _, c := range table {
		fmt.Fprintf(&b, "  %-9s %s\n", c.name, c.summary)
	}
	fmt.Fprintf(&b, "\n%s COMMAND --help says more about one of them, with an example.\n", name)
	return b.String()
}

// unknown names the command that was probably meant.
func unknown(word string, table []command) string {
	best, least := "", 3 // three wrong letters are another word
	for _, c := range table {
		if d := distance(word, c.name); d < least && d < len(c.name) {
			best, least = c.name, d
		}
	}
	if best == "" {
		return fmt.Sprintf("there is no command %q", word)
	}
	return fmt.Sprintf("there is no command %q; did you mean %q?", word, best)
}

// distance is Levenshtein's: how many letters to add, drop or replace.
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
