package main

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

// call is one program to run. What it prints is returned, or goes to show.
type call struct {
	name    string // a path, or found on PATH
	args    []string
	env     []string // added to ours
	stdin   string
	secrets [][]byte  // read by the program as /dev/fd/3, /dev/fd/4 and so on
	show    io.Writer // where standard output and error go, if a person is to see them
}

// runner runs programs. Tests hand in recorded answers.
type runner interface {
	run(context.Context, call) ([]byte, error)
}

// failure is a program that ended badly, and what it said last.
type failure struct {
	what   string // the command, without its values
	stderr string
	err    error
}

func (f *failure) Error() string {
	said := strings.TrimSpace(f.stderr)
	if said == "" {
		said = f.err.Error()
	}
	return f.what + ": " + said
}

func (f *failure) Unwrap() error { return f.err }

// maxOutput bounds what is kept of a program's output, maxWords of its errors.
const (
	maxOutput = 32 << 20
	maxWords  = 16 << 10
)

// programs runs real ones.
type programs struct{}

// run gives a program that is told to stop ten seconds to do so.
func (programs) run(ctx context.Context, c call) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.name, c.args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdin = strings.NewReader(c.stdin)
	out, words := &tail{limit: maxOutput}, &tail{limit: maxWords}
	cmd.Stdout, cmd.Stderr = out, words
	if c.show != nil {
		cmd.Stdout, cmd.Stderr = c.show, c.show
	}
	err := runWith(cmd, c.secrets)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, &failure{describe(c), words.String(), err}
	case out.lost:
		return nil, &failure{describe(c), "its answer is too large", errors.New("too large")}
	}
	return out.Bytes(), nil
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

// describe is the program and its first words, which hold no values.
func describe(c call) string {
	words := []string{c.name[strings.LastIndexByte(c.name, '/')+1:]}
	for _, a := range c.args {
		if strings.HasPrefix(a, "-") || len(words) == 3 {
			break
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// tail keeps the last bytes that are written to it.
type tail struct {
	bytes.Buffer
	limit int
	lost  bool
}

func (t *tail) Write(b []byte) (int, error) {
	t.Buffer.Write(b)
	if over := t.Len() - t.limit; over > 0 {
		t.Next(over)
		t.lost = true
	}
	return len(b), nil
}

// secretFile is where a program finds its call's secret number i.
func secretFile(i int) string { return fmt.Sprintf("/dev/fd/%d", 3+i) }
