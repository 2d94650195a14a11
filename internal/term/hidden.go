package term

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// IsTerminal reports whether a person types what in reads.
func IsTerminal(in io.Reader) bool {
	f, ok := in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Hidden is a question whose answer is not shown.
type Hidden struct {
	Ask  string // what is asked
	More string // what is said when a person pauses after a part of the answer

	// Whole reports whether lines are all of the answer. Lines that come while it says no,
	// as of a text that was broken into several, are added to them.
	Whole func(lines string) bool
}

const (
	pause     = time.Second            // after it a person is told that the answer goes on
	quiet     = 100 * time.Millisecond // after it no more of a pasted text comes
	maxRest   = 2 * time.Second        // for what comes behind an answer
	maxHidden = 64 << 10
)

// AskHidden asks a person at the terminal in, which it leaves as it found it, and returns the
// lines that are typed there. What comes behind the answer in one paste is thrown away, so
// that no shell runs it. Ctrl-C, and the end of ctx, give ExitCode 130. On Windows a read of in is
// left waiting, so nothing else may read there afterwards.
func AskHidden(ctx context.Context, in *os.File, out io.Writer, q Hidden) (string, error) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return "", err
	}
	defer fmt.Fprintln(out)
	defer term.Restore(int(in.Fd()), before)
	fmt.Fprint(out, q.Ask)
	stop := make(chan struct{})
	h := hidden{Hidden: q, typed: read(in, stop), out: out}
	defer h.end(stop)
	return h.answer(ctx)
}

// read gives what in gives, until that ends or stop is closed.
func read(in *os.File, stop <-chan struct{}) <-chan []byte {
	typed := make(chan []byte)
	go func() {
		defer close(typed)
		for fd := int(in.Fd()); ; {
			select {
			case <-stop:
				return
			default:
			}
			if !isReady(fd) {
				continue
			}
			b := make([]byte, 4096)
			n, err := in.Read(b)
			if err != nil {
				return
			}
			select {
			case typed <- b[:n]:
			case <-stop:
				return
			}
		}
	}()
	return typed
}

// hidden is an answer that is being typed.
type hidden struct {
	Hidden
	typed <-chan []byte
	out   io.Writer
	lines []byte
	told  bool // a person who waits was told that this is not all
}

func (h *hidden) answer(ctx context.Context) (string, error) {
	for {
		select {
		case <-ctx.Done():
			return "", ExitCode(130)
		case b, ok := <-h.typed:
			if !ok {
				return string(h.lines), nil
			}
			for _, c := range b {
				if done, err := h.key(c); done {
					return string(h.lines), err
				}
			}
		case <-h.waiting():
			h.told = true
			fmt.Fprintf(h.out, "\r\n%s", h.More)
		}
	}
}

// waiting fires once after a pause behind a line that is not the end of the answer.
func (h *hidden) waiting() <-chan time.Time {
	if h.told || !h.atStart() || len(h.lines) == 0 {
		return nil
	}
	return time.After(pause)
}

// atStart reports whether nothing stands on the current line.
func (h *hidden) atStart() bool { return len(h.lines) == 0 || h.lines[len(h.lines)-1] == '\n' }

// What a terminal sends for keys when it does nothing about them itself.
const (
	ctrlC     = 3
	ctrlD     = 4
	backspace = 8
	ctrlU     = 21
	del       = 127
)

// key takes one character, and reports whether it ends the answer.
func (h *hidden) key(c byte) (done bool, err error) {
	switch c {
	case ctrlC:
		return true, ExitCode(130)
	case ctrlD:
		return true, nil
	case ctrlU:
		h.lines = nil
	case backspace, del:
		if !h.atStart() {
			h.lines = h.lines[:len(h.lines)-1]
		}
	case '\r', '\n':
		gaveUp := h.told && h.atStart()
		h.lines = append(h.lines, '\n')
		return gaveUp || h.Whole(string(h.lines)), nil
	default:
		h.lines = append(h.lines, c)
	}
	return len(h.lines) > maxHidden, nil
}

// end throws away what comes behind the answer, and ends the reading.
func (h *hidden) end(stop chan struct{}) {
	for more, end := true, time.After(maxRest); more; {
		select {
		case _, more = <-h.typed:
		case <-time.After(quiet):
			more = false
		case <-end:
			more = false
		}
	}
	close(stop)
	if readsEnd {
		for range h.typed {
		}
	}
}
