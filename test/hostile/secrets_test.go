package hostile

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/test/ports"
)

// nobody is a user without rights of the machine's, as whom all programs of a victim run.
const nobody = 65534

// shown is what the kernel shows of a process, to us as root.
func shown(t *testing.T, p *program, file string) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.Process.Pid, file))
	must(t, err)
	return string(b)
}

// A program that was given its secrets shows them nowhere.
func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", w.origin.Process.Pid)); err != nil {
		t.Skip("the kernel shows it to root alone:", err)
	}
	gate, at := strings.Repeat("gate", 16), ports.Loopback()
	withGate := start(t, "origin", []string{"CULVERT_LISTEN=" + at, "CULVERT_SECRET_FILE=" + w.secret,
		"CULVERT_GATE_FILE=" + write(t, gate, w.dir, "gate"), "CULVERT_ADMIN_LISTEN=off"})
	withGate.up(at)
	u := w.user(1)
	u.out.Await(t, "Connected")
	text, err := os.ReadFile(u.Args[3])
	must(t, err)
	l, err := link.Parse(strings.TrimSpace(string(text)))
	must(t, err)
	for _, p := range []*program{w.origin, w.edge, u.program, withGate} {
		for _, file := range []string{"environ", "cmdline"} {
			for name, secret := range map[string]string{"the master secret": w.master.Text(), "a gate's secret": gate, "the link": l.String()[:60]} {
				if strings.Contains(shown(t, p, file), secret) {
					t.Errorf("%s: got %s in %s, want none", filepath.Base(p.Path), name, file)
				}
			}
		}
		if limits := shown(t, p, "limits"); !strings.Contains(limits, "Max core file size        0                    0") {
			t.Errorf("%s: got %s, want no core file", filepath.Base(p.Path), limits)
		}
	}
}

// Another program of the same user can neither read what a client or an origin was started with,
// nor its memory.
func TestTheUsersOtherProgramsSeeNothing(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("another user is needed, and root to become it")
	}
	t.Parallel()
	dir, err := os.MkdirTemp("", "hostile-nobody")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	secret := write(t, seal.NewMaster().Text(), dir, "secret")
	for _, name := range []string{dir, secret} {
		must(t, os.Chown(name, nobody, nobody))
	}
	must(t, os.Chmod(bin, 0o755))
	at := ports.Loopback()
	cmd := exec.Command(filepath.Join(bin, "origin"))
	cmd.Env = []string{"CULVERT_LISTEN=" + at, "CULVERT_SECRET_FILE=" + secret, "CULVERT_ADMIN_LISTEN=off", "HTTPS_PROXY=http://user:hunter2@127.0.0.1:1"}
	p := startAs(t, nobody, cmd)
	p.up(at)
	for _, file := range []string{"environ", "mem", "maps", "fd/0"} {
		look := exec.Command("head", "-c", "1", fmt.Sprintf("/proc/%d/%s", p.Process.Pid, file))
		look.SysProcAttr = p.SysProcAttr
		if out, err := look.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("Permission denied")) {
			t.Errorf("%s: got %q and %v, want no permission", file, out, err)
		}
	}
}

// Secrets in the environment or on the command line, and in files for everybody, are refused.
func TestMisplacedSecretsAreRefused(t *testing.T) {
	t.Parallel()
	dir, master := t.TempDir(), seal.NewMaster()
	open := write(t, master.Text(), dir, "open")
	must(t, os.Chmod(open, 0o644))
	for name, c := range map[string]struct {
		program string
		env     []string
		args    []string
		want    string
	}{
		"a secret in the environment": {"origin", []string{"CULVERT_SECRET=" + master.Text()}, nil, "CULVERT_SECRET_FILE"},
		"an open file":                {"origin", []string{"CULVERT_SECRET_FILE=" + open}, nil, "chmod 600"},
		"a link as an argument":       {"culvert", nil, []string{"connect", "culvert:aeaeae"}, "--link-file"},
		"an open file for links":      {"culvert", nil, []string{"connect", "--link-file", open}, "chmod 600"},
	} {
		cmd := exec.Command(filepath.Join(bin, c.program), c.args...)
		cmd.Env = append(c.env, "CULVERT_LISTEN=127.0.0.1:0")
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) || strings.Contains(string(out), master.Text()) {
			t.Errorf("%s: got %q and %v, want a refusal with %q", name, out, err, c.want)
		}
	}
}

// What a shell writes with our programs' output is for its owner alone.
func TestFilesWithSecretsAreTheirOwners(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shell := exec.Command("/bin/sh", "-c", `umask 022; "$0" link secret > secret && "$0" link new --secret-file secret --user 1 --front wss://a.example/ > link`, filepath.Join(bin, "culvert"))
	shell.Dir = dir
	if out, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"secret", "link"} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if got := info.Mode().Perm(); got != 0o600 || info.Size() == 0 {
			t.Errorf("%s: got mode %v and %d bytes, want 0600", name, got, info.Size())
		}
	}
}

// startAs starts a program as another user.
func startAs(t *testing.T, user uint32, cmd *exec.Cmd) *program {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	return run(t, cmd)
}
