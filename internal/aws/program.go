package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Call is one program to run. What it prints is returned, or goes to Show.
type Call struct {
	Name    string // a path, or found on PATH
	Args    []string
	Env     []string // added to ours
	Stdin   string
	Secrets [][]byte  // read by the program as /dev/fd/3, /dev/fd/4 and so on
	Show    io.Writer // where standard output and error go, if a person is to see them
}

// Runner runs programs: real ones (Programs), or in tests recorded answers. Run
// returns what the program printed; its error is the context's if that ended,
// and otherwise a *Failure for a program that ended badly.
type Runner interface {
	Run(context.Context, Call) ([]byte, error)
}

// Failure is a program that ended badly.
type Failure struct {
	What string // the command as Describe has it, without its values
	Said string // what the program wrote to its standard error
	Err  error
}

func (f *Failure) Error() string {
	said := strings.TrimSpace(f.Said)
	if said == "" {
		said = f.Err.Error()
	}
	return f.What + ": " + said
}

func (f *Failure) Unwrap() error { return f.Err }

// Programs runs real programs, from PATH.
type Programs struct{}

// Run gives a program that is told to stop ten seconds to do so.
func (Programs) Run(ctx context.Context, c Call) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.Name, c.Args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdin = strings.NewReader(c.Stdin)
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	if c.Show != nil {
		cmd.Stdout, cmd.Stderr = c.Show, c.Show
	}
	err := runWith(cmd, c.Secrets)
	if isInterrupted(err) {
		Pause(ctx, hears)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, &Failure{Describe(c), words.String(), err}
	}
	return out.Bytes(), nil
}

// hears is how long after a program of ours a Ctrl-C may reach us, which a terminal sends to both.
const hears = time.Second

// isInterrupted reports whether a program ended by Ctrl-C: of that alone, or with the code that stands for it.
func isInterrupted(err error) bool {
	var ended *exec.ExitError
	return errors.As(err, &ended) && (ended.ExitCode() == 130 || ended.String() == "signal: "+os.Interrupt.String())
}

// runWith hands each secret over through a pipe of its own. A pipe holds more
// than any secret is long, so that no write waits for a reader.
func runWith(cmd *exec.Cmd, secrets [][]byte) error {
	for _, secret := range secrets {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = w.Write(secret)
		if err := errors.Join(err, w.Close()); err != nil {
			return err
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, r)
	}
	return cmd.Run()
}

// Describe is the program and up to three of its first words, which hold no
// values: what may be shown and logged.
func Describe(c Call) string {
	words := []string{c.Name[strings.LastIndexByte(c.Name, '/')+1:]}
	for _, a := range c.Args {
		if strings.HasPrefix(a, "-") || len(words) == 3 {
			break
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// SecretFile is where a program finds its Call's secret number i.
func SecretFile(i int) string { return fmt.Sprintf("/dev/fd/%d", 3+i) }
