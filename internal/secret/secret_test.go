package secret

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"
)

func write(t *testing.T, dir, text string, mode os.FileMode) string {
	t.Helper()
	name := filepath.Join(dir, "secret")
	if err := errors.Join(os.WriteFile(name, []byte(text), mode), os.Chmod(name, mode)); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	return name
}

func TestASecretIsReadFromWhereItIsKept(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions say nothing here")
	}
	handed := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", handed)
	for name, c := range map[string]struct {
		file    string
		refused bool
	}{
		"its owner's":          {write(t, t.TempDir(), "hunter2", 0o600), false},
		"its owner's to read":  {write(t, t.TempDir(), "hunter2", 0o400), false},
		"its group's, too":     {write(t, t.TempDir(), "hunter2", 0o640), true},
		"everybody's":          {write(t, t.TempDir(), "hunter2", 0o604), true},
		"systemd's credential": {write(t, handed, "hunter2", 0o444), false},
		"the standard input":   {"-", false},
	} {
		got, err := Read(c.file, strings.NewReader("hunter2"))
		switch {
		case c.refused && (!errors.Is(err, ErrOpen) || got != "" || !strings.Contains(err.Error(), "chmod 600 "+c.file) || !strings.Contains(err.Error(), "name - as the file")):
			t.Errorf("%s: got %q and %v, want a refusal that says what to do", name, got, err)
		case !c.refused && (err != nil || got != "hunter2"):
			t.Errorf("%s: got %q and %v, want the secret", name, got, err)
		}
	}
}

func TestAFileThatIsNoSecretIsRefused(t *testing.T) {
	t.Parallel()
	name := write(t, t.TempDir(), strings.Repeat("x", MaxFile+1), 0o600)
	if _, err := Read(name, nil); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("got %v, want a refusal", err)
	}
	if _, err := Read(name+"x", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, os.ErrNotExist)
	}
}

func TestTextIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"culvert:a\n":                        "culvert:a\n",
		"\xEF\xBB\xBFculvert:a\r\n":          "culvert:a\r\n",
		"\xFF\xFEa\x00\xFC\x00=\xD8\x00\xDE": "aü😀",
		"\xFE\xFF\x00a\x00\xFC":              "aü",
		"\xFF\xFEa\x00b":                     "a", // half a letter
		"":                                   "",
	} {
		if got := Text([]byte(in)); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte("\xFF\xFEa\x00b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := Text(b)
		if wide := len(b) > 1 && (b[0] == 0xFF && b[1] == 0xFE || b[0] == 0xFE && b[1] == 0xFF); wide && !utf8.ValidString(got) {
			t.Errorf("got %q, want valid UTF-8", got)
		}
		if len(got) > 2*len(b) {
			t.Errorf("got %d bytes of %d", len(got), len(b))
		}
	})
}

func TestAFileThatTakesASecretBecomesItsOwners(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("permissions say nothing here")
	}
	f, err := os.OpenFile(write(t, t.TempDir(), "", 0o644), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Keep(f); err != nil {
		t.Fatal(err)
	}
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v and %v, want 0600", info.Mode(), err)
	}
	if err := Keep(new(strings.Builder)); err != nil {
		t.Errorf("got %v for what is no file, want nothing", err)
	}
}
