package startup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// put makes a file of the machine's.
func put(t *testing.T, s *System, name, text string, mode os.FileMode) {
	t.Helper()
	at := s.path(name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), mode), os.Chmod(at, mode)); err != nil {
		t.Fatal(err)
	}
}

// A proxy's password is in a file of settings, which root alone reads.
func TestSettingsKeepWhatOthersWroteAndTheirMode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		way                   way
		was, installed, later string
	}{
		{systemd(), "# mine\nHTTPS_PROXY=http://me:pw@proxy\nCULVERT_OPTIONS=--lan\nA=1", "# mine\nHTTPS_PROXY=http://me:pw@proxy\nA=1\nCULVERT_OPTIONS=\"--lan=true --web=127.0.0.1:1080\"\n", "# mine\nHTTPS_PROXY=http://me:pw@proxy\nA=1\n"},
		{openRC(), "export HTTPS_PROXY=x\n#CULVERT_OPTIONS=--lan\n", "export HTTPS_PROXY=x\n#CULVERT_OPTIONS=--lan\nCULVERT_OPTIONS=\"--lan=true --web=127.0.0.1:1080\"\n", "export HTTPS_PROXY=x\n#CULVERT_OPTIONS=--lan\n"},
		{
			procd(), "config culvert 'main'\n\t# mine\n\toption lan '1'\n\toption proxy 'x'\n\nconfig other\n\toption lan '1'\n",
			"config culvert 'main'\n\toption link '/etc/culvert/link'\n\toption lan '0'\n\toption options '--lan=true --web=127.0.0.1:1080'\n\t# mine\n\toption proxy 'x'\n\nconfig other\n\toption lan '1'\n",
			"config culvert 'main'\n\t# mine\n\toption proxy 'x'\n\nconfig other\n\toption lan '1'\n",
		},
	} {
		s, _ := machine(t, c.way)
		name := c.way.proxy.File
		put(t, s, name, c.was, 0o600)
		for range 2 {
			if err := s.Install(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			if got := files(t, s)[name]; got != c.installed {
				t.Errorf("%s: got %q, want %q", name, got, c.installed)
			}
		}
		if info, err := os.Stat(s.path(name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got mode %v and %v, want 0600", name, info.Mode(), err)
		}
		if err := s.Uninstall(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := files(t, s)[name]; got != c.later {
			t.Errorf("%s: got %q, want %q", name, got, c.later)
		}
	}
}

func TestAnOptionOfSeveralLinesIsReplacedWhole(t *testing.T) {
	t.Parallel()
	for _, was := range []string{"CULVERT_OPTIONS=--lan \\\n  --web=x\n", "export CULVERT_OPTIONS=\"--lan\n--web=x\"\n", "CULVERT_OPTIONS='--lan\n--a\n--web=x'\n"} {
		if got := variable(nil)("A=1\n"+was+"B=2\n", false); got != "A=1\nB=2\n" {
			t.Errorf("%q: got %q, want the other lines alone", was, got)
		}
	}
}

func TestAProxyThatIsWrittenDownIsFound(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		s, _ := machine(t, w)
		if s.HasProxy() {
			t.Errorf("%s: got a proxy, want none", w.log)
		}
		if w.proxy.File == "" {
			continue
		}
		put(t, s, w.proxy.File, "# "+w.proxy.Line+"\n", 0o600)
		without := s.HasProxy()
		put(t, s, w.proxy.File, "\t"+strings.ReplaceAll(w.proxy.Line, "URL", "'http://proxy'\n"), 0o600)
		if without || !s.HasProxy() {
			t.Errorf("%s: got %v and %v, want one that is not a comment", w.log, without, s.HasProxy())
		}
	}
}

// OpenRC and procd have one file for a package's and ours.
func TestOurFilesAreNotTakenForAPackages(t *testing.T) {
	t.Parallel()
	for _, w := range []way{openRC(), procd()} {
		s, _ := machine(t, w)
		s.self = "/usr/bin/culvert"
		if err := errors.Join(s.Install(t.Context(), client), s.Install(t.Context(), client)); err != nil || s.isPackaged() {
			t.Errorf("%s: got %v and a package %v, want our own", w.log, err, s.isPackaged())
		}
		if text := files(t, s)[w.packaged]; !strings.HasPrefix(text, "#!") || !strings.Contains(text, "\n"+ours) {
			t.Errorf("%s: got %q, want the interpreter's line, then ours", w.log, text)
		}
		if err := s.Uninstall(t.Context()); err != nil || len(files(t, s)) > 0 {
			t.Errorf("%s: got %v and %q, want nothing left", w.log, err, files(t, s))
		}
	}
}

func TestAPackagesScriptIsNotReplacedByAnotherProgram(t *testing.T) {
	t.Parallel()
	for _, w := range []way{openRC(), procd()} {
		s, _ := machine(t, w)
		put(t, s, w.packaged, "the package's", 0o755)
		if err := s.Install(t.Context(), client); err == nil || !strings.Contains(err.Error(), "/usr/bin/culvert service install") {
			t.Errorf("%s: got %v, want the package's program named", w.log, err)
		}
		if all := files(t, s); len(all) != 1 || all[w.packaged] != "the package's" {
			t.Errorf("%s: got %q, want nothing done", w.log, all)
		}
	}
}
