package setup

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/internal/link"
	"culvert/internal/term"
)

// machine is a host in a folder, whose systemd only notes what it is told.
type machine struct {
	host
	told   []string
	broken string // the command that fails
	active string // the unit that is active
	sick   bool   // no instance is well
	out    bytes.Buffer
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{}
	self := filepath.Join(t.TempDir(), "origin")
	if err := os.WriteFile(self, []byte("a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	m.host = host{root: t.TempDir(), isRoot: true, now: time.Now, self: self, run: m.tell, health: m.ask, open: m.listen}
	if err := os.MkdirAll(m.path("/run/systemd/system"), 0o755); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *machine) tell(_ context.Context, name string, args ...string) (string, error) {
	words := strings.Join(append([]string{name}, args...), " ")
	m.told = append(m.told, words)
	switch {
	case m.broken != "" && strings.Contains(words, m.broken):
		return "", errors.New("the command failed")
	case words == "systemctl --version":
		return "systemd 252 (252.38)", nil
	case name == "systemd-sysusers":
		return "", m.write("/etc/passwd", "culvert:x:990:990\n", 0o644)
	case words == "systemctl is-active "+m.active:
		return "active", nil
	case args[0] == "is-active":
		return "inactive", errors.New("exit code 3")
	case name != "systemctl" && name != "userdel":
		return "", errors.New("not installed")
	}
	return "", nil
}

// listen has tests that run at once find the port free that all of them name.
func (m *machine) listen(network, address string) (net.Listener, error) {
	if address == ":18443" {
		address = ":0"
	}
	return net.Listen(network, address)
}

func (m *machine) ask(context.Context, int) error {
	if m.sick {
		return errors.New("not well")
	}
	return nil
}

// setUp is culvert-origin setup with these flags; the port is one that a test may have.
func (m *machine) setUp(t *testing.T, args ...string) error {
	t.Helper()
	o := &options{flags: term.NewFlags("culvert-origin setup", "", "")}
	o.flags.StringVar(&o.name, "name", "", "")
	o.flags.StringVar(&o.address, "address", "", "")
	o.flags.IntVar(&o.port, "port", 443, "")
	o.flags.Texts(&o.fronts, "front", "")
	o.flags.BoolVar(&o.plain, "plain", false, "")
	o.flags.BoolVar(&o.dry, "dry-run", false, "")
	o.flags.StringVar(&o.acme, "acme", "", "")
	if m.read(settings) == "" {
		args = append([]string{"--port", "18443"}, args...)
	}
	if err := o.flags.ParseNone(args, &m.out); err != nil {
		t.Fatal(err)
	}
	m.out.Reset()
	return m.setup(t.Context(), o, term.NewTestConsole(&m.out, false))
}

// handed is the link that was printed last.
func (m *machine) handed(t *testing.T) *link.Link {
	t.Helper()
	l, err := link.Find(m.out.String())
	if err != nil {
		t.Fatalf("%v in %s", err, m.out.String())
	}
	return l
}

func TestASetupThatIsCutOffIsFinishedByTheSameCommand(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.broken = "enable culvert-origin@9090.service"
	if err := m.setUp(t, "--address", "203.0.113.7"); err == nil || !strings.Contains(err.Error(), "Run the same command again") {
		t.Fatalf("got %v, want how to go on", err)
	}
	secret := m.read(secretFile)
	m.broken = ""
	for range 3 {
		if err := m.setUp(t, "--address", "203.0.113.7"); err != nil {
			t.Fatal(err)
		}
		if m.read(secretFile) != secret || secret == "" {
			t.Error("the secret is another one")
		}
		if f := m.handed(t).Fronts[0]; f.Host != "203.0.113.7:18443" || len(f.Pins) != 1 || m.handed(t).Keys.User != 1 {
			t.Errorf("got the front %v, want the address and the pinned certificate, for user 1", f)
		}
	}
	if restarts := len(slices.DeleteFunc(m.told, func(s string) bool { return s != "systemctl restart culvert-origin@9090.service" })); restarts != 1 {
		t.Errorf("got %d starts, want none where nothing has changed", restarts)
	}
	if info, err := os.Stat(m.path(secretFile)); err != nil || info.Mode() != 0o600 {
		t.Errorf("got %v, want a secret that its owner alone reads", info.Mode())
	}
}

func TestADryRunChangesNothing(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if err := m.setUp(t, "--address", "203.0.113.7", "--dry-run"); err != nil || m.exists(folder) || m.exists(programs) {
		t.Errorf("got %v, want nothing changed", err)
	}
	if text := m.out.String(); !strings.Contains(text, "would do: secret") || !strings.Contains(text, "Nothing was changed") || slices.ContainsFunc(m.told, func(s string) bool { return strings.Contains(s, "enable ") }) {
		t.Errorf("got %s and %v, want what would be done", text, m.told)
	}
}

func TestMachinesThatCannotServeAreRefusedInASentence(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*machine){
		"systemd does not run":       func(m *machine) { os.RemoveAll(m.path("/run")) },
		"sudo":                       func(m *machine) { m.isRoot = false },
		"of another installation":    func(m *machine) { m.write(unitFile, "[Service]", 0o644) },
		"systemd is of version 245":  func(m *machine) { m.run = old },
		"run --version: exit code 1": func(m *machine) { m.run = none },
	} {
		m := newMachine(t)
		change(m)
		if err := m.setUp(t, "--address", "203.0.113.7"); err == nil || !strings.Contains(err.Error(), want) || m.exists(secretFile) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func old(context.Context, string, ...string) (string, error) { return "systemd 245 (245.4)", nil }
func none(context.Context, string, ...string) (string, error) {
	return "", errors.New("run --version: exit code 1")
}

func TestLinksNameWhatIsBeforeTheMachine(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if err := m.setUp(t, "--front", "wss://one.example/", "--front", "wss://two.example/", "--plain"); err != nil {
		t.Fatal(err)
	}
	if l := m.handed(t); len(l.Fronts) != 2 || l.Fronts[1].Host != "two.example" {
		t.Errorf("got %v, want both fronts", l.Fronts)
	}
	if v := m.read(settings); !strings.Contains(v, "\nCULVERT_TLS_CERT=\n") {
		t.Errorf("got %s, want plain HTTP", v)
	}
	if was := m.read(settings); m.setUp(t, "--front", "wss://one.example/", "--front", "wss://two.example/", "--plain") != nil || m.read(settings) != was {
		t.Errorf("got %s, want the same settings as before, %s", m.read(settings), was)
	}
	for n := uint32(2); n < 4; n++ {
		m.out.Reset()
		if err := m.link(0, "", term.NewTestConsole(&m.out, false)); err != nil || m.handed(t).Keys.User != n {
			t.Errorf("got %v, want the link of user %d", err, n)
		}
	}
}

func TestSettingsOfAnOperatorStay(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if err := m.setUp(t, "--address", "203.0.113.7"); err != nil {
		t.Fatal(err)
	}
	if err := m.write(settings, m.read(settings)+"# mine\nCULVERT_SITE=soups\nCULVERT_TLS_CERT=/etc/ssl/mine.pem\n", 0o644); err != nil {
		t.Fatal(err)
	}
	if err := m.setUp(t, "--address", "203.0.113.8"); err != nil {
		t.Fatal(err)
	}
	if v := m.read(settings); !strings.Contains(v, "# mine\nCULVERT_SITE=soups\nCULVERT_TLS_CERT=/etc/ssl/mine.pem\n") {
		t.Errorf("got %s, want the operator's settings", v)
	}
	if f := m.handed(t).Fronts[0]; f.Host != "203.0.113.8:18443" {
		t.Errorf("got %s, want the new address", f.Host)
	}
}

func TestAnUpdateTakesOverOrIsTakenBack(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if err := m.setUp(t, "--address", "203.0.113.7"); err != nil {
		t.Fatal(err)
	}
	out := term.NewTestConsole(&m.out, false)
	if err := m.update(t.Context(), out); err != nil || m.current() != 9090 {
		t.Errorf("got %v and instance %d, want the same program left alone", err, m.current())
	}
	newer := func(text string) {
		if err := os.WriteFile(m.self, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	newer("another program")
	if err := m.update(t.Context(), out); err != nil || m.current() != 9091 {
		t.Fatalf("got %v and instance %d, want the new one", err, m.current())
	}
	if !slices.Contains(m.told, "systemctl stop --no-block culvert-origin@9090.service") || !slices.Contains(m.told, "systemctl disable culvert-origin@9090.service") {
		t.Errorf("got %v, want the old one told to leave", m.told)
	}
	newer("a program that does not start")
	m.broken = "start culvert-origin@9090.service"
	if err := m.update(t.Context(), out); err == nil || !strings.Contains(err.Error(), "goes on serving") || m.current() != 9091 || m.exists(programOf(9090)) {
		t.Errorf("got %v and instance %d, want the old one to stay, alone", err, m.current())
	}
}

func TestABackupIsRestoredOrNothingIs(t *testing.T) {
	t.Parallel()
	m, next := newMachine(t), newMachine(t)
	if err := m.setUp(t, "--address", "203.0.113.7"); err != nil {
		t.Fatal(err)
	}
	first := m.handed(t).String()
	text, err := m.backup()
	if err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string][]byte{"cut off": text[:1000], "empty": nil, "rubbish": bytes.Repeat([]byte("x"), 2000),
		"another file": bytes.ReplaceAll(text, []byte("etc/culvert/front"), []byte("etc/culvert/../x1"))} {
		if err := next.restore(bad); err == nil || next.exists(folder) {
			t.Errorf("%s: got %v, want nothing restored", what, err)
		}
	}
	if err := next.restore(text); err != nil {
		t.Fatal(err)
	}
	if err := next.setUp(t, "--address", "203.0.113.7"); err != nil || next.handed(t).String() != first {
		t.Errorf("got %v, want the same link", err)
	}
	if err := next.write(secretFile, "another", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := next.restore(text); !errors.Is(err, errOtherSecret) {
		t.Errorf("got %v, want the other secret left alone", err)
	}
}

func TestWhatIsRemovedCanComeBack(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if err := m.setUp(t, "--address", "203.0.113.7"); err != nil {
		t.Fatal(err)
	}
	first := m.handed(t).String()
	if err := m.remove(t.Context(), false, term.NewTestConsole(&m.out, false)); err != nil || m.exists(command) || m.exists(unitFile) || !m.exists(secretFile) {
		t.Errorf("got %v, want all but the secret gone", err)
	}
	if err := m.setUp(t, "--address", "203.0.113.7"); err != nil || m.handed(t).String() != first {
		t.Errorf("got %v, want the same link", err)
	}
	if err := m.remove(t.Context(), true, term.NewTestConsole(&m.out, false)); err != nil || m.exists(folder) {
		t.Errorf("got %v, want all gone", err)
	}
}

func TestWrongFlagsAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--name", "a.example", "--address", "203.0.113.7"}, {"--name", "a.example", "--plain"}, {"--plain"}, {"--front", "nowhere"},
		{"--address", "203.0.113"}, {"--acme", "https://ca.example/"}, {"--name", "localhost"}, {"--address", "203.0.113.7", "--port", "70000"},
	} {
		err := newMachine(t).setUp(t, args...)
		if usage := (term.UsageError{}); !errors.As(err, &usage) {
			t.Errorf("%q: got %v, want a usage error", args, err)
		}
	}
}
