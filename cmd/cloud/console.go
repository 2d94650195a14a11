package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// console talks to the volunteer: a line for each step that is done, and on a
// terminal one more below that says what is waited for.
type console struct {
	w      io.Writer
	in     *bufio.Reader // nil if nobody can be asked
	yes    bool          // --yes answers every question
	live   bool          // a line can be erased
	status string
}

func newConsole(w io.Writer, yes bool) *console {
	c := &console{w: w, yes: yes, live: isTerminal(w) && os.Getenv("TERM") != "dumb"}
	if isTerminal(os.Stdin) && c.live {
		c.in = bufio.NewReader(os.Stdin)
	}
	return c
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// textWidth is where lines end.
const textWidth = 79

// Write writes whole lines above the status.
func (c *console) Write(b []byte) (int, error) {
	if c.status != "" {
		io.WriteString(c.w, "\r\x1b[K")
		defer io.WriteString(c.w, c.status)
	}
	return c.w.Write(b)
}

// show replaces the status; an empty one removes it.
func (c *console) show(status string) {
	if !c.live || status == c.status {
		return
	}
	io.WriteString(c.w, "\r\x1b[K"+status)
	c.status = status
}

func (c *console) title(s string) { fmt.Fprintf(c, "\n%s\n", s) }

// good, bad and note write a line with a mark.
func (c *console) good(format string, args ...any) { c.line("✓", 0, fmt.Sprintf(format, args...)) }
func (c *console) bad(format string, args ...any)  { c.line("✗", 0, fmt.Sprintf(format, args...)) }
func (c *console) note(format string, args ...any) { c.line("!", 0, fmt.Sprintf(format, args...)) }

// done is good with the time that it took.
func (c *console) done(began time.Time, format string, args ...any) {
	c.line("✓", time.Since(began), fmt.Sprintf(format, args...))
}

// line puts took, if there is one, at the end of the line.
func (c *console) line(mark string, took time.Duration, text string) {
	lines := wrap(text, textWidth-2)
	last := len(lines) - 1
	if took > 0 {
		t := tookText(took)
		gap := max(textWidth-2-utf8.RuneCountInString(lines[last])-len(t), 2)
		lines[last] += strings.Repeat(" ", gap) + t
	}
	for i, l := range lines {
		fmt.Fprintf(c, "%s %s\n", mark, l)
		if i == 0 {
			mark = " "
		}
	}
}

// hint says below a step what a person may do.
func (c *console) hint(format string, args ...any) {
	for _, paragraph := range strings.Split(fmt.Sprintf(format, args...), "\n") {
		if strings.HasPrefix(paragraph, "  ") { // a command: never broken
			fmt.Fprintf(c, "  %s\n", paragraph)
			continue
		}
		for _, l := range wrap(paragraph, textWidth-2) {
			fmt.Fprintf(c, "  %s\n", l)
		}
	}
}

// quoted is how many of a program's last lines are shown.
const quoted = 20

// quote shows what a program said, line by line as it said it.
func (c *console) quote(err error) {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	for _, l := range lines[max(len(lines)-quoted, 0):] {
		fmt.Fprintf(c, "  | %s\n", strings.TrimRight(l, " \r"))
	}
}

// ask is true for yes. Without a terminal the answer is no, and the caller
// says how to go on.
func (c *console) ask(question string) bool {
	if c.yes {
		return true
	}
	if c.in == nil {
		return false
	}
	c.show("")
	fmt.Fprintf(c, "%s [y/N] ", question)
	answer, _ := c.in.ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

// tookText is d as a person would say it.
func tookText(d time.Duration) string {
	s := int(d.Round(time.Second) / time.Second)
	switch {
	case s < 90:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min", (s+30)/60)
	}
	return fmt.Sprintf("%d h %d min", s/3600, s%3600/60)
}

// wrap breaks s between words.
func wrap(s string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
