package term

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a terminal, and the side where a person types and sees.
func terminal(t *testing.T) (tty, person *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this system makes no terminals: %v", err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close(); tty.Close() })
	return tty, person
}

func settings(t *testing.T, tty *os.File) unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *s
}

func TestAHiddenAnswerLeavesTheTerminalAsItWas(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 6000)
	for name, c := range map[string]struct {
		typed, want string
		err         error
	}{
		"a line":            {"whole.\r", "whole.\n", nil},
		"broken lines":      {"whole\r\nor\rnot.\r", "whole\n\nor\nnot.\n", nil},
		"more behind it":    {"whole.\rrm -rf /\r" + long + "\r", "whole.\n", nil},
		"a long line":       {long + ".\r", long + ".\n", nil},
		"a slip":            {"who;\x7flo\x08e.\r", "whole.\n", nil},
		"another beginning": {"whose\x15whole.\r", "whole.\n", nil},
		"an end":            {"who\x04", "who", nil},
		"Ctrl-C":            {"who\x03le.\r", "who", ExitCode(130)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tty, person := terminal(t)
			before := settings(t, tty)
			said, out := io.Pipe()
			q := Hidden{Ask: "?", Whole: func(lines string) bool { return strings.HasSuffix(lines, ".\n") }}
			ended := make(chan error, 1)
			var got string
			go func() {
				answer, err := AskHidden(t.Context(), tty, out, q)
				got = answer
				out.Close()
				ended <- err
			}()
			io.ReadFull(said, make([]byte, 1))
			io.WriteString(person, c.typed)
			io.Copy(io.Discard, said)
			if err := <-ended; err != c.err || err == nil && got != c.want {
				t.Errorf("got %.80q and %v, want %.80q and %v", got, err, c.want, c.err)
			}
			if settings(t, tty) != before {
				t.Error("the terminal is not as it was")
			}
			if left, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCINQ); left != 0 || err != nil {
				t.Errorf("%d characters are left for the shell, %v", left, err)
			}
			if shown, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCINQ); shown != 0 || err != nil {
				t.Errorf("%d characters were shown, %v", shown, err)
			}
		})
	}
}

func TestAHiddenQuestionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	tty, _ := terminal(t)
	before := settings(t, tty)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := AskHidden(ctx, tty, io.Discard, Hidden{}); err != ExitCode(130) || settings(t, tty) != before {
		t.Errorf("got %v, want the exit code of an interruption and the terminal as it was", err)
	}
}
