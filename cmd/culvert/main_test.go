package main

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/test/local/localtest"
	"culvert/test/screen"
)

// TestMain lets the test binary be the program, so that tests can send signals
// to a real process. Programs speak English here. What a client keeps is not kept where the user's own does.
func TestMain(m *testing.M) {
	if os.Getenv("CULVERT_TEST_AS_PROGRAM") != "" {
		main()
	}
	dir, err := os.MkdirTemp("", "culvert-state")
	if err != nil {
		panic(err)
	}
	os.Setenv("XDG_STATE_HOME", dir)
	os.Setenv("LC_ALL", "C")
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// process is "culvert connect" in a process of its own, with a front that is
// down. Shell, if not empty, is what a shell does before.
func process(t *testing.T, shell string) (*exec.Cmd, *screen.Screen) {
	t.Helper()
	l := &link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{localtest.DeadFront(t)}}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", shell+` exec "$@"`, "sh", self,
		"connect", "--link-file", file(t, "link", l.String(), 0o600), "--chat", "127.0.0.1:0", "--media", "127.0.0.1:0")
	out := screen.New()
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), "CULVERT_TEST_AS_PROGRAM=1"), out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

func TestATerminalThatGoesAwayEndsTheClientInOrder(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT} {
		cmd, out := process(t, "")
		out.Await(t, "TLS off")
		cmd.Process.Signal(signal)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: got %v, want exit code 0", signal, err)
		}
		out.Await(t, "Stopped.")
	}
}

func TestAClientThatMayNotHearHangupsGoesOn(t *testing.T) {
	t.Parallel()
	cmd, out := process(t, `trap "" HUP;`)
	ports := portsIn.FindStringSubmatch(out.Await(t, "TLS off"))
	cmd.Process.Signal(syscall.SIGHUP)
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", ports[1]))
	if err != nil {
		t.Fatalf("got %v after SIGHUP, want a client that goes on", err)
	}
	conn.Close()
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("got %v, want exit code 0", err)
	}
}

// Whoever writes a script finds the codes of each command in one place.
func TestThePageForProgramsHasEveryCommand(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/PROGRAMS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range program.Commands {
		if !strings.Contains(string(page), "\n| `"+program.Name+" "+c.Name) {
			t.Errorf("docs/PROGRAMS.md has no exit codes of culvert %s", c.Name)
		}
	}
}
