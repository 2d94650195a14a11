package kept

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// by is a MAC as a link has one.
func by(key string) func(string, ...[]byte) []byte {
	return func(label string, parts ...[]byte) []byte {
		m := hmac.New(sha256.New, []byte(key+label))
		for _, p := range parts {
			fmt.Fprintf(m, "%d ", len(p))
			m.Write(p)
		}
		return m.Sum(nil)
	}
}

var today = time.Unix(1_800_000_000, 0)

// filled is a store with one network, which is saved.
func filled(t *testing.T, dir string) (s *Store, home string, n Network) {
	t.Helper()
	s, err := Open(dir, by("link"))
	if err != nil {
		t.Fatal(err)
	}
	home = s.Tag("network", "wlan0 192.168.1.0/24")
	n = Network{Best: s.Tag("front", "wss://one.example/"), Fronts: map[string]Front{
		s.Tag("front", "wss://one.example/"): {Small: true, Frozen: 15_000, Limit: 13_650, Pause: 600, Until: 1_800_000_600, Rest: 10_000, Minute: 4},
	}}
	s.Put(home, n, today)
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	return s, home, n
}

// What was learned is found again, by the same link alone, in a file that is its owner's and has no
// name in it.
func TestWhatWasLearnedIsFoundAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state", "culvert")
	before, home, want := filled(t, dir)
	after, err := Open(dir, by("link"))
	if err != nil {
		t.Fatal(err)
	}
	got := after.Network(home)
	if got.Best != want.Best || !maps.Equal(got.Fronts, want.Fronts) {
		t.Errorf("got %v, want %v", got, want)
	}
	info, err := os.Stat(before.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file of its owner's", info.Mode(), err)
	}
	text, _ := os.ReadFile(before.path)
	for _, secret := range []string{"example", "192.168", "wlan0"} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("the file has %q in it", secret)
		}
	}
	if other, err := Open(dir, by("other")); err != nil || other.path == before.path || other.Network(home).Used != 0 {
		t.Error("another link has the same file")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("got %d files, want one", len(entries))
	}
}

// A file that was cut anywhere, changed anywhere, or is somebody else's is ignored as a whole, and is
// replaced by the next.
func TestAFileThatIsNotOursIsIgnored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, home, _ := filled(t, dir)
	whole, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := Open(t.TempDir(), by("other"))
	foreign := fmt.Sprintf("%s\n{}\n%x\n", version, other.sum([]byte("{}")))
	signed := func(body string) string { return fmt.Sprintf("%s\n%s\n%x\n", version, body, s.sum([]byte(body))) }
	networks := `{`
	for i := range maxNetworks + 1 {
		networks += fmt.Sprintf(`"%016x":{"used":1},`, i)
	}
	files := map[string]error{
		"": errForeign, "\n": errForeign, "{}": errForeign, foreign: errForeign, string(whole) + "\n": errForeign,
		strings.Replace(string(whole), "learned 1", "learned 2", 1): errNewer,
		signed("[]"): errAbsurd, signed("null"): errAbsurd, signed(`{"home":{}}`): errAbsurd,
		signed(strings.TrimSuffix(networks, ",") + "}"):                               errAbsurd,
		signed(`{"0123456789abcdef":{"fronts":{"0123456789abcdef":{"limit":-1}}}}`):   errAbsurd,
		signed(`{"0123456789abcdef":{"fronts":{"0123456789abcdef":{"minute":1e9}}}}`): errAbsurd,
		signed(`{"0123456789abcdef":{"fronts":{"0123456789abcdef":{"rest":1e99}}}}`):  errAbsurd,
		strings.Repeat("x", maxSize+1):                                                errLarge,
	}
	for n := range whole {
		files[string(whole[:n])] = errForeign
		flipped := bytes.Clone(whole)
		flipped[n] ^= 1
		files[string(flipped)] = nil // any of them
	}
	for text, want := range files {
		os.WriteFile(s.path, []byte(text), 0o600)
		got, err := Open(dir, by("link"))
		if err == nil || want != nil && !errors.Is(err, want) && !errors.Is(err, errNewer) {
			t.Fatalf("%.60q: got %v, want %v", text, err, want)
		}
		if got.Network(home).Used != 0 {
			t.Fatalf("%.60q is believed", text)
		}
	}
	again, _, _ := filled(t, t.TempDir())
	again.path = s.path
	again.saved = nil
	if err := again.Save(); err != nil {
		t.Fatal(err)
	}
	if got, err := Open(dir, by("link")); err != nil || got.Network(home).Used == 0 {
		t.Errorf("a file that was ignored is not replaced: %v", err)
	}
}

// A directory, or anything that reading would wait for, in the file's place is ignored, too, and what
// cannot be written says so without a path.
func TestWhatIsNoFileIsIgnored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := Open(dir, by("link"))
	os.Mkdir(s.path, 0o700)
	s, err := Open(dir, by("link"))
	if !errors.Is(err, errForeign) {
		t.Errorf("got %v, want %v", err, errForeign)
	}
	s.Put(s.Tag("network", ""), Network{}, today)
	if err := s.Save(); err == nil || strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want an error without a path", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("got %d files, want no half-written one", len(entries))
	}
}

// Of more networks than are kept the one goes that was used least lately.
func TestNetworksAreBounded(t *testing.T) {
	t.Parallel()
	s, _ := Open(t.TempDir(), by("link"))
	for day := range 3 * maxNetworks {
		s.Put(s.Tag("network", fmt.Sprint(day)), Network{Best: s.Tag("front", "")}, today.Add(time.Duration(day)*24*time.Hour))
	}
	if len(s.networks) != maxNetworks {
		t.Errorf("got %d networks, want %d", len(s.networks), maxNetworks)
	}
	if s.Network(s.Tag("network", fmt.Sprint(3*maxNetworks-1))).Used == 0 || s.Network(s.Tag("network", "0")).Used != 0 {
		t.Error("another network was forgotten than the oldest")
	}
}

// Each link has a file. Of more than are kept those go that were written least lately, and what was left
// half-written; but not what has another name.
func TestFilesAreBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, age time.Duration) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	const old = "learned-00000000000000ff"
	for i := range maxFiles - 2 {
		write(fmt.Sprintf("learned-%016x", i), time.Duration(i+1)*time.Hour)
	}
	write(old, 9000*time.Hour)
	write("learned-1.new", time.Hour)
	write("learned-2.new", 0)
	write("learned-notes.txt", 9999*time.Hour)
	s, _, _ := filled(t, dir)
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	if !has(filepath.Base(s.path)) || !has("learned-0000000000000000") || !has("learned-2.new") || !has("learned-notes.txt") {
		t.Error("a file is removed that was in use, or nobody's of ours")
	}
	if has(old) || has("learned-1.new") {
		t.Error("a file is kept that nobody has used for longest, or that was left half-written")
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) > maxFiles+2 {
		t.Errorf("got %d files, %v, want %d", len(files), err, maxFiles)
	}
}
