//go:build unix

package setup

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Not parallel: all of the process has one umask.
func TestTheServiceReadsWhatItNeedsWhateverRootsUmask(t *testing.T) {
	m := newMachine(t)
	defer syscall.Umask(syscall.Umask(0o077))
	if err := m.setUp(t, "--address", "203.0.113.7"); err != nil {
		t.Fatal(err)
	}
	for name := range slices.Values([]string{folder, programs, filepath.Dir(command), filepath.Dir(unitFile)}) {
		err := filepath.WalkDir(m.path(name), func(at string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := os.Stat(at)
			switch {
			case err != nil:
				return nil // the link to a program of the system's, not of the folder that stands for it
			case e.IsDir() && info.Mode().Perm() != 0o755, strings.HasPrefix(at, m.path(programs)) && info.Mode().Perm() != 0o755:
				t.Errorf("%s: got %v, want 755", at, info.Mode())
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
