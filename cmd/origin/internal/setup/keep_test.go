package setup

import (
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"culvert/internal/term"
)

func TestABareSetupKeepsWhatLinksName(t *testing.T) {
	t.Parallel()
	for _, flags := range [][]string{
		{"--front", "wss://cdn.example/", "--plain"},
		{"--front", "wss://one.example/", "--front", "wss://two.example:8443/;sni=none"},
		{"--address", "203.0.113.7"},
		{"--address", "2001:db8::7"},
	} {
		m, next := newMachine(t), newMachine(t)
		if err := m.setUp(t, flags...); err != nil {
			t.Fatal(err)
		}
		front, set, first := m.read(frontFile), m.read(settings), m.handed(t).String()
		text, err := m.backup()
		if err == nil {
			err = next.restore(text)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []*machine{m, next} {
			if err := at.setUp(t); err != nil || at.read(frontFile) != front || at.read(settings) != set || at.handed(t).String() != first {
				t.Errorf("%q: got %v, the fronts %s and the settings %s, want those of before: %s and %s", flags, err, at.read(frontFile), at.read(settings), front, set)
			}
			if hinted, want := strings.Contains(at.out.String(), "Links name"), flags[0] == "--address"; hinted != want {
				t.Errorf("%q: got %s, want a hint at an address of another machine's: %v", flags, at.out.String(), want)
			}
			if !strings.Contains(at.out.String(), "Port 18443 must") {
				t.Errorf("%q: got %s, want a hint at the port of the settings", flags, at.out.String())
			}
		}
	}
}

func TestAnotherPortIsWhatOwnLinksName(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
	m := newMachine(t)
	if err := m.setUp(t, "--address", "203.0.113.7"); err != nil {
		t.Fatal(err)
	}
	if err := m.setUp(t, "--port", port); err == nil || !strings.Contains(err.Error(), "another program has port "+port) {
		t.Errorf("got %v, want a port refused that another program has", err)
	}
	ln.Close()
	if err := m.setUp(t, "--port", port); err != nil || m.handed(t).Fronts[0].Host != "203.0.113.7:"+port {
		t.Errorf("got %v, want the address of before at the other port", err)
	}
	if err := m.write(settings, "CULVERT_LISTEN=everywhere\n", 0o644); err != nil {
		t.Fatal(err)
	}
	if err := m.setUp(t); err == nil || !strings.Contains(err.Error(), "CULVERT_LISTEN") {
		t.Errorf("got %v, want the setting named that is wrong", err)
	}
}

func TestFoldersThatAreShutAreOpened(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	for _, name := range []string{folder, programs} {
		if err := os.MkdirAll(m.path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := m.setUp(t, "--address", "203.0.113.7"); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{folder, programs, programs + "/9090"} {
			if info, err := os.Stat(m.path(name)); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("%s: got %v, want what the service's user may enter", name, info.Mode())
			}
			if err := os.Chmod(m.path(name), 0o700); err != nil { // for the next time
				t.Fatal(err)
			}
		}
	}
}

func TestEverythingGoesThoughSystemdFails(t *testing.T) {
	t.Parallel()
	for _, broken := range []string{"disable", "stop", "daemon-reload"} {
		m := newMachine(t)
		if err := m.setUp(t, "--address", "203.0.113.7"); err != nil {
			t.Fatal(err)
		}
		if err := m.write(leavingOf(9090)+"/leave.conf", "", 0o644); err != nil {
			t.Fatal(err)
		}
		m.broken = broken
		err := m.remove(t.Context(), true, term.NewTestConsole(&m.out, false))
		if err == nil || slices.ContainsFunc([]string{folder, state, command, programs, unitFile, userFile, leavingOf(9090)}, m.exists) {
			t.Errorf("%s: got %v, want the failure told and all files gone", broken, err)
		}
		if !slices.Contains(m.told, "systemctl kill -s KILL culvert-origin@9090.service") {
			t.Errorf("%s: got %v, want an instance ended that takes its time", broken, m.told)
		}
	}
}

func TestAnUpdateLeavesNothingHalfDone(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if err := m.setUp(t, "--address", "203.0.113.7"); err != nil {
		t.Fatal(err)
	}
	was := unitText + "# of the program before\n"
	runs := m.read(runsFile)
	if err := errors.Join(m.write(unitFile, was, 0o644), m.write(runsFile, "other\n", 0o644), os.WriteFile(m.self, []byte("another program"), 0o755)); err != nil {
		t.Fatal(err)
	}
	out := term.NewTestConsole(&m.out, false)
	m.broken = "start culvert-origin@9091.service"
	if err := m.update(t.Context(), out); err == nil || m.read(unitFile) != was {
		t.Errorf("got %v and the unit %s, want a failure and the unit of before", err, m.read(unitFile))
	}
	m.broken = "disable culvert-origin@9090.service"
	if err := m.update(t.Context(), out); err == nil || m.current() != 9091 || m.read(runsFile) != runs {
		t.Fatalf("got %v and instance %d, want an update that is cut off, and what it was started with", err, m.current())
	}
	m.broken, m.active, m.told = "", "culvert-origin@9090.service", nil
	if err := m.update(t.Context(), out); err != nil || !slices.Contains(m.told, "systemctl stop --no-block culvert-origin@9090.service") {
		t.Errorf("got %v and %v, want the old one told to leave", err, m.told)
	}
}

func TestABackupGivesNoNumberTwice(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if err := m.setUp(t, "--address", "203.0.113.7"); err != nil {
		t.Fatal(err)
	}
	text, err := m.backup()
	if err == nil {
		err = m.link(0, "", term.NewTestConsole(&m.out, false))
	}
	if err == nil {
		err = m.restore(text)
	}
	if got := m.read(usersFile); err != nil || got != "2\n" {
		t.Errorf("got %v and the number %s, want that of the last link, 2", err, got)
	}
}
