// Package term is how Culvert's commands meet people: the table of commands,
// their flags and their help, what is written on a terminal or into a file,
// QR codes, and the small files that are read and written whole. It knows
// nothing of the relay.
package term

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"culvert/internal/lang"
)

// Console is where a command talks to a person: line after line, and on a
// terminal one more line below them, the status, that is redrawn. Where the
// output is no terminal there is no status, no colour and no escape sequence.
// Its methods may be called by many goroutines at once, but Ask by one.
//
// What it is told is English, as in a format string of fmt's; what it writes is in its language, as
// far as the catalogue has that.
type Console struct {
	w      io.Writer
	in     *bufio.Reader // where answers come from; nil: nobody can be asked
	live   bool          // w is a terminal that can erase a line
	colour bool
	lang   lang.Language

	mu     sync.Mutex // guards the following, and w
	status string     // what stands below the lines; empty: nothing
}

// NewConsole talks by w. It finds out what w can do, and whether a person sits
// at the standard input to answer.
func NewConsole(w io.Writer) *Console {
	c := &Console{w: w, live: isTerminal(w), colour: coloured(w)}
	if c.live && term.IsTerminal(int(os.Stdin.Fd())) {
		c.in = bufio.NewReader(os.Stdin)
	}
	return c
}

// NewTestConsole is for tests: it treats w as a terminal without colours, 80
// columns wide, if live is set, and as a file if not.
func NewTestConsole(w io.Writer, live bool) *Console { return &Console{w: w, live: live} }

// In has c speak l, and returns it.
func (c *Console) In(l lang.Language) *Console {
	c.lang = l
	return c
}

// Text is a message in c's language: for what is a part of a line.
func (c *Console) Text(format string, args ...any) string { return c.lang.Text(format, args...) }

// Comma stands between the parts of a line.
func (c *Console) Comma() string { return c.lang.Comma() }

// isTerminal says whether w is a terminal that understands more than text.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// coloured says whether w understands colours and the user wants them
// (no-color.org).
func coloured(w io.Writer) bool { return isTerminal(w) && os.Getenv("NO_COLOR") == "" }

// screen is what the terminal w shows, or without end if it is none.
func screen(w io.Writer) Screen {
	if f, ok := w.(*os.File); ok {
		if width, height, err := term.GetSize(int(f.Fd())); err == nil {
			return Screen{Columns: width, Lines: height}
		}
	}
	return Screen{}
}

// Live says whether a status is shown: whether somebody sees the lines at once.
func (c *Console) Live() bool { return c.live }

// Width is how many columns a status may have. The terminal's last column stays
// free, as some terminals wrap after it.
func (c *Console) Width() int {
	if n := screen(c.w).Columns; n > 0 {
		return n - 1
	}
	return TextWidth
}

// EraseLine goes to the start of the line and erases it.
const EraseLine = "\r\x1b[K"

// Write writes whole lines above the status.
func (c *Console) Write(b []byte) (int, error) { return c.above(c.w, b) }

// above writes whole lines to w, which shares the terminal.
func (c *Console) above(w io.Writer, b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status != "" {
		io.WriteString(c.w, EraseLine)
		defer io.WriteString(c.w, c.lang.Line(c.status))
	}
	return w.Write(b)
}

// Show replaces the status, which is in c's language already; an empty one removes it. Where nothing can be
// erased Show does nothing.
func (c *Console) Show(status string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.live || status == c.status {
		return
	}
	io.WriteString(c.w, EraseLine+c.lang.Line(status))
	c.status = status
}

// Beside is a writer for another stream of the same terminal, such as the log
// on the standard error. Whole lines that are written to it come above the
// status.
func (c *Console) Beside(w io.Writer) io.Writer { return beside{c, w} }

type beside struct {
	console *Console
	w       io.Writer
}

func (b beside) Write(p []byte) (int, error) { return b.console.above(b.w, p) }

// Mark is the sign at the start of a line that says how a step went.
type Mark struct{ sign, colour string }

// The marks of a step.
var (
	Good    = Mark{"✓", "32"}
	Bad     = Mark{"✗", "31"}
	Warned  = Mark{"!", "33"}
	Skipped = Mark{"–", "2"}
)

// TextWidth is how many columns a line of text has at most.
const TextWidth = 79

// indent is how far text stands from the margin, where a mark may be.
const indent = 2

// Step writes a line with a mark and, if it is not 0, how long the step took,
// at the line's end. A text that is too long is broken between words.
func (c *Console) Step(m Mark, took time.Duration, format string, args ...any) {
	text, time := c.Text(format, args...), ""
	if took > 0 {
		time = stepTime(took)
	}
	width := TextWidth - indent
	if time != "" && Columns(text) > width-indent-len(time) {
		width -= len(time) + indent
	}
	lines := wrapText(text, width)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", c.Paint(m), c.lang.Line(lines[0]))
	for _, l := range lines[1:] {
		b.WriteString("\n  " + c.lang.Line(l))
	}
	if time != "" {
		last := Columns(lines[len(lines)-1])
		b.WriteString(strings.Repeat(" ", max(TextWidth-indent-last-Columns(time), indent)) + c.paint(time, dim))
	}
	fmt.Fprintln(c, b.String())
}

// stepTime is a step's time: with fractions if it is short.
func stepTime(took time.Duration) string {
	if took < time.Minute {
		return Took(took)
	}
	return Span(took)
}

// Hint writes what a person may do, below the step that it belongs to. A line
// of it that begins with two spaces is a command and is never broken.
func (c *Console) Hint(format string, args ...any) {
	io.WriteString(c, c.lines(strings.Repeat(" ", indent), c.Text(format, args...)))
}

// Say writes what stands at the margin. As in a Hint, a line that begins with two spaces is never broken.
func (c *Console) Say(format string, args ...any) {
	io.WriteString(c, c.lines("", c.Text(format, args...)))
}

// Line writes one line as it is, however long.
func (c *Console) Line(text string) { fmt.Fprintln(c, c.lang.Line(text)) }

// lines is text in lines of a terminal behind a margin.
func (c *Console) lines(margin, text string) string {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(paragraph, "  ") {
			b.WriteString(margin + paragraph + "\n")
			continue
		}
		for _, l := range wrapText(paragraph, TextWidth-len(margin)) {
			b.WriteString(margin + c.lang.Line(l) + "\n")
		}
	}
	return b.String()
}

// Title writes a heading, and an empty line before it.
func (c *Console) Title(s string) {
	fmt.Fprintf(c, "\n%s\n", c.paint(c.lang.Line(c.lang.Sentence(s)), "1"))
}

// quoted is how many of the last lines Quote shows.
const quoted = 20

// Quote shows the last lines of what another program said, as it said them.
func (c *Console) Quote(text string) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, l := range lines[max(len(lines)-quoted, 0):] {
		fmt.Fprintf(c, "  | %s\n", strings.TrimRight(l, " \r"))
	}
}

// Ask is true for yes. Without a terminal on both sides the answer is no, and
// the caller says how to go on.
func (c *Console) Ask(question string) bool {
	if c.in == nil {
		return false
	}
	c.Show("")
	fmt.Fprintf(c, "%s [y/N] ", question)
	answer, _ := c.in.ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

const dim = "2"

// Paint is the mark's sign, in its colour where there are colours.
func (c *Console) Paint(m Mark) string { return c.paint(m.sign, m.colour) }

func (c *Console) paint(s, colour string) string {
	if !c.colour || s == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// JSON writes v as indented JSON.
func JSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// OneLine is an error's text on one line.
func OneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
