package hostile

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/test/programs"
	"culvert/test/screen"
)

// bin is where our programs were built.
var bin string

func TestMain(m *testing.M) {
	if os.Getenv("CULVERT_REAL") == "" || runtime.GOOS != "linux" {
		fmt.Println("hostile: not tried, CULVERT_REAL is not set or this is not Linux; .ci/hostile runs it")
		return
	}
	if os.Getenv(asAttackers) != "" {
		os.Exit(m.Run())
	}
	os.Exit(programs.Run(m, &bin))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// program is a running process. What it printed last is shown if the test fails.
type program struct {
	*exec.Cmd
	t    testing.TB
	out  *screen.Screen
	gone chan struct{}
}

const (
	readyWithin = 20 * time.Second // for a program to listen
	endWithin   = 3 * time.Second  // for a program that was told to end; then it is killed
)

// start runs one of our programs with no more environment than env.
func start(t testing.TB, name string, env []string, args ...string) *program {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Env = env
	return run(t, cmd)
}

// run starts a program, which ends with the test.
func run(t testing.TB, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{Cmd: cmd, t: t, out: screen.New(), gone: make(chan struct{})}
	p.Stdout, p.Stderr, p.WaitDelay = p.out, p.out, time.Second
	must(t, p.Start())
	go func() { defer close(p.gone); p.Wait() }()
	t.Cleanup(func() {
		p.end()
		if text := p.out.String(); t.Failed() {
			t.Logf("%s said last:\n%s", filepath.Base(cmd.Path), text[max(0, len(text)-2000):])
		}
	})
	return p
}

func (p *program) end() {
	p.Process.Signal(os.Interrupt)
	select {
	case <-p.gone:
	case <-time.After(endWithin):
		p.Process.Kill()
		<-p.gone
	}
}

// up waits until the program listens at address.
func (p *program) up(address string) {
	p.t.Helper()
	for limit := time.Now().Add(readyWithin); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
		if c, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			c.Close()
			return
		}
	}
	p.t.Fatalf("%s does not listen:\n%s", filepath.Base(p.Path), p.out)
}

// rss is the resident memory of the process in MiB.
func (p *program) rss() int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	for line := range strings.Lines(string(b)) {
		var kib int
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			return kib >> 10
		}
	}
	return 0
}

// cpu is what the process has used, in seconds.
func (p *program) cpu() float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	var user, system float64
	if f := strings.Fields(rest); len(f) > 12 {
		fmt.Sscan(f[11], &user)
		fmt.Sscan(f[12], &system)
	}
	return (user + system) / 100
}

// output is what one of our programs prints until it ends.
func output(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(bin, name), args...).Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		t.Fatalf("%s %s: %s", name, args[0], exit.Stderr)
	}
	must(t, err)
	return string(out)
}

func write(t testing.TB, content, dir, name string) (path string) {
	t.Helper()
	path = filepath.Join(dir, name)
	must(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// dialFrom connects to an address from one of 127.0.0.0/8, or from any if from is empty.
func dialFrom(from, to string) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	return d.Dial("tcp", to)
}

// waitFor waits until yes, which it wants soon.
func waitFor(t testing.TB, what string, yes func() bool) {
	t.Helper()
	for limit := time.Now().Add(readyWithin); !yes(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not within %v: %s", readyWithin, what)
		}
	}
}

// crowd is connections that an attacker holds.
type crowd struct {
	mu  sync.Mutex // guards the following
	all []io.Closer
}

// newCrowd closes what was added at the end of the test.
func newCrowd(t testing.TB) *crowd {
	c := &crowd{}
	t.Cleanup(c.close)
	return c
}

func (c *crowd) add(one io.Closer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, one)
}

func (c *crowd) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}

func (c *crowd) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.all {
		one.Close()
	}
	c.all = nil
}
