// Package fronting holds tests of the programs as people run them, against
// programs that are not ours: nginx and HAProxy as CDNs, others as edges, unbound as a resolver, curl,
// openssl, and another implementation of WebSockets.
//
// A test whose program is missing is skipped, unless CULVERT_REAL is set: then
// it fails. CULVERT_LONG adds what waits long.
package fronting

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/test/programs"
	"culvert/test/screen"
)

var (
	real = os.Getenv("CULVERT_REAL") != ""
	long = os.Getenv("CULVERT_LONG") != ""
)

// bin is where our programs were built.
var bin string

func TestMain(m *testing.M) {
	os.Exit(programs.Run(m, &bin))
}

// need is the path of a program that is not ours.
func need(t testing.TB, program string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin") {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path
		}
	}
	missing(t, program)
	return ""
}

func missing(t testing.TB, what string) {
	t.Helper()
	if real {
		t.Fatalf("%s is missing; .ci/tools installs it", what)
	}
	t.Skipf("%s is missing", what)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// check says what failed, and goes on.
func check(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// environment is ours without what would lead programs astray: other
// settings of Culvert's, and proxies.
func environment(more ...string) []string {
	own := slices.DeleteFunc(os.Environ(), func(s string) bool {
		name, _, _ := strings.Cut(s, "=")
		return strings.HasPrefix(name, "CULVERT_") || strings.HasSuffix(strings.ToLower(name), "_proxy")
	})
	return append(own, more...)
}

// program is a running process. Its output is shown if the test fails.
type program struct {
	t    testing.TB
	cmd  *exec.Cmd
	out  *screen.Screen
	done chan struct{}
}

func start(t testing.TB, env []string, path string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(path, args...), out: screen.New(), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = environment(env...), p.out, p.out
	p.cmd.WaitDelay = 5 * time.Second
	must(t, p.cmd.Start())
	go func() { defer close(p.done); p.cmd.Wait() }()
	t.Cleanup(func() {
		p.stop(os.Interrupt)
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(path), p.out)
		}
	})
	return p
}

// stop waits until the process has gone, and kills it if it does not go.
func (p *program) stop(by os.Signal) {
	p.cmd.Process.Signal(by)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
}

func (p *program) gone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// up waits until the program listens at address.
func (p *program) up(address string) {
	p.t.Helper()
	wantSoon(p.t, 20*time.Second, filepath.Base(p.cmd.Path)+" listens", func() bool { return p.gone() || listens(address) })
	if p.gone() {
		p.t.Fatalf("%s ended:\n%s", filepath.Base(p.cmd.Path), p.out)
	}
}

func listens(address string) bool {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}

func wantSoon(t testing.TB, within time.Duration, what string, yes func() bool) {
	t.Helper()
	limit, tick := time.NewTimer(within), time.NewTicker(20*time.Millisecond)
	defer limit.Stop()
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// runLimit bounds a program that ends by itself.
const runLimit = 60 * time.Second

// output runs a program to its end.
func output(path string, args ...string) (stdout string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var errOut bytes.Buffer
	cmd.Env, cmd.Stderr, cmd.WaitDelay = environment(), &errOut, time.Second
	out, err := cmd.Output()
	if err != nil {
		err = errors.Join(err, errors.New(errOut.String()))
	}
	return string(out), err
}

func write(t testing.TB, content, dir, name string) (path string) {
	t.Helper()
	path = filepath.Join(dir, name)
	must(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func onlyIfLong(t testing.TB) {
	t.Helper()
	if !long {
		t.Skip("mostly waits: CULVERT_LONG=1 runs it")
	}
}

func onLinux(t testing.TB) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the settings of these programs are for Linux")
	}
}
