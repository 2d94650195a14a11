package kept

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func longer(body, than []byte) bool { return len(body) >= len(than) }

func TestAFileIsOfOneLinkAndHidesWhatItHolds(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	f := OpenFile(dir, "fronts", by("link"))
	if body, err := f.Read(); body != nil || err != nil {
		t.Errorf("no file: got %q, %v", body, err)
	}
	for _, body := range []string{"wss://one.example/", "wss://one.example/ and another", "short"} {
		if err := f.Replace([]byte(body), longer); err != nil {
			t.Fatal(err)
		}
	}
	got, err := OpenFile(dir, "fronts", by("link")).Read()
	if err != nil || string(got) != "wss://one.example/ and another" {
		t.Errorf("got %q, %v, want the newest", got, err)
	}
	info, err := os.Stat(f.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file of its owner's", info.Mode(), err)
	}
	if text, _ := os.ReadFile(f.path); bytes.Contains(text, []byte("example")) {
		t.Error("the file says what it holds")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("got %d files, want one", len(entries))
	}
	for name, other := range map[string]*File{"another link": OpenFile(dir, "fronts", by("other")), "another name": OpenFile(dir, "looks", by("link"))} {
		if other.path == f.path {
			t.Errorf("%s has the same file", name)
		}
		os.Rename(f.path, other.path)
		if body, err := other.Read(); !errors.Is(err, errForeign) {
			t.Errorf("%s: got %q, %v", name, body, err)
		}
		os.Rename(other.path, f.path)
	}
}

func TestAFileThatWasChangedIsIgnoredAndReplaced(t *testing.T) {
	t.Parallel()
	f := OpenFile(t.TempDir(), "fronts", by("link"))
	if err := f.Replace([]byte("body"), longer); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string]error{strings.Repeat("x", maxFile+1): errLarge, strings.Replace(string(whole), "kept 1", "kept 2", 1): errNewer, "": errForeign}
	for i := range whole[:len(whole)-1] {
		bad[string(whole[:i])] = nil
		flipped := bytes.Clone(whole)
		flipped[i] ^= 1
		bad[string(flipped)] = nil
	}
	for text, want := range bad {
		os.WriteFile(f.path, []byte(text), 0o600)
		if body, err := f.Read(); err == nil || want != nil && !errors.Is(err, want) {
			t.Fatalf("%.40q: got %q, %v, want %v", text, body, err, want)
		}
	}
	if err := f.Replace([]byte("b"), longer); err != nil {
		t.Fatal(err)
	}
	if body, err := f.Read(); err != nil || string(body) != "b" {
		t.Errorf("got %q, %v", body, err)
	}
}
