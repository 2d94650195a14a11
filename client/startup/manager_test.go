package startup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// manager is what starts programs, whichever system's, as far as it refuses what they refuse: to start what runs, to stop
// what does not, to list what is listed.
type manager struct {
	asked  string // the command that asks whether the client runs
	told   []string
	fails  string        // commands with that in them fail and do nothing
	ending time.Duration // how long the client goes on after it was told to end

	listed, runs bool
	open, doomed bool      // a window of Windows' services is open; the service was deleted meanwhile, and stays for now
	ends         time.Time // zero: nobody has told it to end
}

func (m *manager) run(_ context.Context, command ...string) (string, error) {
	line := strings.Join(command, " ")
	if !m.ends.IsZero() && !time.Now().Before(m.ends) {
		m.listed, m.runs, m.ends = m.listed && command[0] != "launchctl", false, time.Time{}
	}
	if line == m.asked {
		return m.answer(command[0])
	}
	m.told = append(m.told, line)
	if m.fails != "" && strings.Contains(line, m.fails) {
		return "", errors.New("exit status 1")
	}
	return "", m.do(command[0], line)
}

// answer says how the client is, as the system says it.
func (m *manager) answer(program string) (string, error) {
	switch {
	case m.runs && program == "launchctl":
		return "state = running", nil
	case m.runs:
		return "RUNNING", nil
	case m.listed && (program == "launchctl" || program == "sc.exe"):
		return "STOPPED", nil
	}
	return "", errors.New("exit status 3")
}

func (m *manager) do(program, line string) error {
	has := func(word string) bool { return strings.Contains(line+" ", " "+word+" ") }
	switch {
	case has("bootstrap"):
		return m.start(!m.listed)
	case has("kickstart"):
		return m.start(m.listed)
	case has("restart"):
		m.ends = time.Time{}
		return m.start(true)
	case m.doomed && (has("create") || has("config") || has("start")):
		return errors.New("[SC] FAILED 1072:")
	case program == "sc.exe" && has("config"):
		return unless(m.listed)
	case program == "sc.exe" && has("create"):
		was := m.listed
		m.listed = true
		return unless(!was)
	case program == "sc.exe" && has("delete"):
		was := m.listed
		m.listed, m.doomed = m.open, m.open
		return unless(was)
	case has("start"):
		return m.start(!m.runs)
	case has("bootout"), has("stop"), has("--now"):
		was := m.runs || program == "launchctl" && m.listed
		m.ends = time.Now().Add(m.ending)
		return unless(was)
	}
	return nil
}

func (m *manager) start(may bool) error {
	if may {
		m.listed, m.runs = true, true
	}
	return unless(may)
}

func unless(may bool) error {
	if may {
		return nil
	}
	return errors.New("exit status 5")
}

// Windows says by its environment where its folders are.
func TestMain(m *testing.M) {
	os.Setenv("ProgramData", `C:\ProgramData`)
	os.Setenv("ProgramFiles", `C:\Program Files`)
	os.Exit(m.Run())
}

// installed is a system on which the client was installed and runs.
func installed(t *testing.T, w way) (*System, *manager) {
	t.Helper()
	s, m := managed(t, w)
	if err := s.Install(t.Context(), client); err != nil || !s.Running(t.Context()) {
		t.Fatalf("%s: got %v and running %v, want a client that runs", w.log, err, s.Running(t.Context()))
	}
	m.told = nil
	return s, m
}

// Whatever state the client is in, stopped or fallen, another installation takes its place, and it can be removed.
func TestAClientThatHasEndedIsReplacedAndRemoved(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		s, m := installed(t, w)
		m.runs = false
		if err := s.Install(t.Context(), Client{}); err != nil || !s.Running(t.Context()) {
			t.Errorf("%s: got %v, want another that runs", w.log, err)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Errorf("%s: got %v, want an end", w.log, err)
		}
		m.told = nil
		if err := s.Uninstall(t.Context()); err != nil || !slices.Equal(m.told[:len(w.uninstall)], lines(w.uninstall)) {
			t.Errorf("%s: got %v and %q, want all of %q", w.log, err, m.told, w.uninstall)
		}
	}
}

func lines(commands [][]string) (all []string) {
	for _, c := range commands {
		all = append(all, strings.Join(c, " "))
	}
	return all
}

// A link that is removed while its client runs leaves a client that nobody finds any more.
func TestWhatDoesNotEndIsNotCalledRemoved(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		synctest.Test(t, func(t *testing.T) {
			s, m := installed(t, w)
			m.fails = lines(w.stop)[0]
			if w.goos == "linux" && len(w.uninstall) == 1 {
				m.fails = lines(w.uninstall)[0]
			}
			if err := s.Uninstall(t.Context()); !errors.Is(err, errRuns) || !strings.Contains(err.Error(), "exit status 1") {
				t.Errorf("%s: got %v, want why it has not ended", w.log, err)
			}
			if _, err := os.Stat(s.path(s.link)); err != nil && s.Running(t.Context()) {
				t.Errorf("%s: got %v, want the link where the client reads it", w.log, err)
			}
		})
	}
}

func TestAServiceThatStaysListedIsNotCalledRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, m := installed(t, windows())
		m.fails = "delete"
		if err := s.Uninstall(t.Context()); err == nil || !s.Installed(t.Context()) || !s.exists(s.link) {
			t.Errorf("got %v, want what failed, and nothing removed", err)
		}
	})
}

// Windows deletes a service when the last window that shows it is closed, and makes none of its name before.
func TestAnUpdateWhileServicesAreLookedAtLeavesAService(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, m := installed(t, windows())
		m.open = true
		if err := s.Install(t.Context(), Client{Options: []string{"--lan"}}); err != nil || !s.Running(t.Context()) || m.doomed {
			t.Fatalf("got %v, running %v, want the service changed", err, s.Running(t.Context()))
		}
		if all := strings.Join(m.told, "\n"); !strings.Contains(all, "sc.exe config Culvert binPath= ") || !strings.Contains(all, " --lan start= delayed-auto obj= NT AUTHORITY\\LocalService") {
			t.Errorf("got %q, want it told of the new flags", m.told)
		}
		if err := s.Uninstall(t.Context()); err != nil || s.exists(s.link) {
			t.Errorf("got %v, want it removed as far as it can be", err)
		}
		if err := s.Install(t.Context(), client); err == nil || !strings.Contains(err.Error(), "services.msc") {
			t.Errorf("got %v, want to be told which window to close", err)
		}
	})
}

// launchctl's bootout returns while the job ends, and bootstrap fails until it has.
func TestAnInstallationWaitsForTheEndOfTheOneBefore(t *testing.T) {
	t.Parallel()
	for _, w := range []way{launchd(), windows()} {
		synctest.Test(t, func(t *testing.T) {
			s, m := installed(t, w)
			m.ending = 3 * time.Second
			if err := s.Install(t.Context(), Client{}); err != nil || !s.Running(t.Context()) {
				t.Errorf("%s: got %v, want one that runs", w.log, err)
			}
			if err := errors.Join(s.Stop(t.Context()), s.Start(t.Context())); err != nil || !s.Running(t.Context()) {
				t.Errorf("%s: got %v, want one that runs again", w.log, err)
			}
		})
	}
}

func TestWhatIsAsItIsToBeIsLeft(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		s, m := installed(t, w)
		if err := s.Start(t.Context()); err != nil || len(m.told) > 0 {
			t.Errorf("%s: got %v and %q, want nothing done to what runs", w.log, err, m.told)
		}
		if err := errors.Join(s.Stop(t.Context()), s.Stop(t.Context())); err != nil || s.Running(t.Context()) {
			t.Errorf("%s: got %v, want a client that has ended to be ended", w.log, err)
		}
		if err := s.Start(t.Context()); err != nil || !s.Running(t.Context()) {
			t.Errorf("%s: got %v, want it started", w.log, err)
		}
	}
}

// A client that ends with a code, and is no crash to Windows, is started again, too.
func TestWindowsStartsWhateverEnds(t *testing.T) {
	t.Parallel()
	s, told := machine(t, windows())
	if err := s.Install(t.Context(), client); err != nil || !slices.Contains(*told, "sc.exe failureflag Culvert 1") {
		t.Errorf("got %v and %q, want a failure flag", err, *told)
	}
}

// Anybody may make a folder in ProgramData, and stays its owner, whatever rights it is given afterwards.
func TestNothingOfAPlantedFolderStays(t *testing.T) {
	t.Parallel()
	s, m := managed(t, windows())
	planted := s.path(s.link)
	if err := errors.Join(os.MkdirAll(filepath.Join(s.path(s.state), "deep"), 0o755), os.WriteFile(planted, []byte("culvert:evil\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if s.Installed(t.Context()) {
		t.Error("got an installation, want none: no link that somebody planted is one")
	}
	if err := s.Install(t.Context(), Client{}); err == nil || !strings.Contains(err.Error(), "--link-file") {
		t.Errorf("got %v, want the planted link refused", err)
	}
	if err := s.Install(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.path(s.state)); err == nil {
		t.Error("got what lay in the folder before, want it gone")
	}
	all := strings.Join(m.told, "\n")
	owner, reset, grant := strings.Index(all, "/setowner *S-1-5-32-544"), strings.Index(all, "/reset"), strings.Index(all, "/inheritance:r")
	if owner < 0 || reset < owner || grant < reset {
		t.Errorf("got %s, want the owner, the old rights and the new ones set, in that order", all)
	}
}

// Who is quick writes into the folder before its rights are set.
func TestNothingThatIsPlantedMeanwhileStays(t *testing.T) {
	t.Parallel()
	s, m := managed(t, windows())
	s.run = func(ctx context.Context, command ...string) (string, error) {
		if slices.Contains(command, "/setowner") {
			os.Mkdir(s.path(s.state), 0o755)
		}
		return m.run(ctx, command...)
	}
	if err := s.Install(t.Context(), client); err != nil || s.exists(s.state) {
		t.Errorf("got %v, and what was planted there: %v, want it gone", err, s.exists(s.state))
	}
}

func TestAFolderThatLeadsElsewhereIsRefused(t *testing.T) {
	t.Parallel()
	s, m := managed(t, windows())
	elsewhere := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(elsewhere, "kept"), nil, 0o600), os.MkdirAll(filepath.Dir(s.path(s.folder)), 0o755), os.Symlink(elsewhere, s.path(s.folder))); err != nil {
		t.Fatal(err)
	}
	err := s.Install(t.Context(), client)
	if _, gone := os.Stat(filepath.Join(elsewhere, "kept")); err == nil || !strings.Contains(err.Error(), "leads elsewhere") || gone != nil || strings.Contains(strings.Join(m.told, "\n"), "icacls") {
		t.Errorf("got %v, %v and %q, want a refusal and nothing done there", err, gone, m.told)
	}
}

// What the service's user has made is its own, and so are its rights to it, which a reset would end.
func TestRightsAreTakenFromOthersOnce(t *testing.T) {
	t.Parallel()
	s, m := installed(t, windows())
	if err := s.Install(t.Context(), Client{}); err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(m.told, "\n"); strings.Contains(all, "/setowner") || strings.Contains(all, "/reset") || !strings.Contains(all, "/grant:r") {
		t.Errorf("got %s, want the folder's own rights alone set again", all)
	}
}

// Who is quick puts a link to another folder in place of the one that was made: as its rights are set, and before it is
// emptied.
func TestAFolderThatIsSwappedMeanwhileIsLeft(t *testing.T) {
	t.Parallel()
	for _, w := range append(windows().adopt, windows().prepare...) {
		s, m := managed(t, windows())
		elsewhere, after := t.TempDir(), 0
		kept := filepath.Join(elsewhere, "kept")
		if err := os.WriteFile(kept, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s.run = func(ctx context.Context, command ...string) (string, error) {
			if info, err := os.Lstat(s.path(s.folder)); err == nil && info.Mode().Type() != os.ModeDir {
				after++
			}
			if slices.Equal(command, w) {
				os.RemoveAll(s.path(s.folder))
				os.Symlink(elsewhere, s.path(s.folder))
			}
			return m.run(ctx, command...)
		}
		err := s.Install(t.Context(), client)
		if _, gone := os.Stat(kept); err == nil || !strings.Contains(err.Error(), "leads elsewhere") || after > 0 || gone != nil || !slices.Contains(w, "/L") {
			t.Errorf("%q: got %v, %d commands after that, and %v, want a refusal and nothing done there", w, err, after, gone)
		}
	}
}

// The client of macOS could put another's file in place of one of its own, were the folder its own.
func TestNoRightsAreGivenToWhatAClientChooses(t *testing.T) {
	t.Parallel()
	s, m := managed(t, launchd())
	if err := s.Install(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	for _, line := range m.told {
		if strings.HasPrefix(line, "chown -R") || strings.HasPrefix(line, "chown -h daemon "+s.folder+" ") {
			t.Errorf("got %s, want the folder to stay root's", line)
		}
	}
}

func TestWhoIsNoAdministratorIsToldSoFirst(t *testing.T) {
	t.Parallel()
	s, _ := machine(t, systemd())
	s.admin = false
	for name, do := range map[string]func(context.Context) error{"start": s.Start, "stop": s.Stop, "uninstall": s.Uninstall} {
		if err := do(t.Context()); err != errRights {
			t.Errorf("%s: got %v, want %v", name, err, errRights)
		}
	}
}
