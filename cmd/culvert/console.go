package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// console is where a command talks to a person: line after line, and on a
// terminal one more below them that is redrawn. Its methods may be called by
// many goroutines.
type console struct {
	w      io.Writer
	live   bool // w is a terminal that can erase a line
	colour bool

	mu     sync.Mutex // guards the following, and w
	status string     // what stands below the lines; empty: nothing
}

func newConsole(w io.Writer) *console {
	return &console{w: w, live: isTerminal(w), colour: coloured(w)}
}

// isTerminal says whether w is a terminal that understands more than text.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// eraseLine goes to the start of the line and erases it.
const eraseLine = "\r\x1b[K"

// Write writes whole lines above the status.
func (c *console) Write(b []byte) (int, error) { return c.above(c.w, b) }

// above writes whole lines to w, which shares the terminal.
func (c *console) above(w io.Writer, b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status != "" {
		io.WriteString(c.w, eraseLine)
		defer io.WriteString(c.w, c.status)
	}
	return w.Write(b)
}

// show replaces the status; an empty one removes it. Where nothing can be
// erased it does nothing.
func (c *console) show(status string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.live || status == c.status {
		return
	}
	io.WriteString(c.w, eraseLine+status)
	c.status = status
}

// width is how many columns a status may have; the last stays free, as some
// terminals wrap after it.
func (c *console) width() int {
	if n := columns(c.w); n > 0 {
		return n - 1
	}
	return 79
}

// neighbour is another stream of the same terminal, for the log.
type neighbour struct {
	*console
	w io.Writer
}

func (n neighbour) Write(b []byte) (int, error) { return n.above(n.w, b) }

// mark says how a step went.
type mark struct{ sign, colour string }

var (
	good    = mark{"✓", "32"}
	bad     = mark{"✗", "31"}
	warned  = mark{"!", "33"}
	skipped = mark{"–", "2"}
)

// textWidth is where a step's time ends; hints and lists wrap before it.
const textWidth = 79

// step writes a line with a mark and, if it is not 0, how long it took.
func (c *console) step(m mark, took time.Duration, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	var time string
	if took > 0 {
		time = tookText(took)
	}
	gap := max(textWidth-2-utf8.RuneCountInString(text)-utf8.RuneCountInString(time), 2)
	if time == "" {
		gap = 0
	}
	fmt.Fprintf(c, "%s %s%s%s\n", c.paint(m.sign, m.colour), text, strings.Repeat(" ", gap), c.paint(time, "2"))
}

// hint writes what a person may do, below the step that it belongs to.
func (c *console) hint(format string, args ...any) {
	for _, line := range wrap(fmt.Sprintf(format, args...), textWidth-2) {
		fmt.Fprintf(c, "  %s\n", line)
	}
}

func (c *console) title(s string) { fmt.Fprintf(c, "\n%s\n", c.paint(s, "1")) }

func (c *console) paint(s, colour string) string {
	if !c.colour || s == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// wrap breaks s between words into lines of at most width characters, if its
// words allow that.
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
