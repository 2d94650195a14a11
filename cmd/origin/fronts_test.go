package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/serve"
)

// publish writes a file of one list, for users of m's.
func publish(t *testing.T, name string, m seal.Master, users string, version uint32) {
	t.Helper()
	u, err := link.ParseUsers(users)
	if err != nil {
		t.Fatal(err)
	}
	l := &link.List{Version: version, Expires: time.Now().Add(time.Hour).Truncate(time.Second), Fronts: []link.Front{{Host: "two.example", Path: "/"}}}
	signed, err := l.Sign(m)
	if err != nil {
		t.Fatal(err)
	}
	all := link.Published{{Users: u, Origin: m.PublicKey(), List: l, Signed: signed}}
	if err := os.WriteFile(name, []byte(all.Text()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What is published while the origin runs is read again, and each user finds the list of their group and key.
func TestListsOfFrontsAreReadAgain(t *testing.T) {
	t.Parallel()
	name, m, older := filepath.Join(t.TempDir(), "fronts"), seal.NewMaster(), seal.NewMaster()
	publish(t, name, m, "1-5", 1)
	files := serve.NewFiles(slog.New(slog.DiscardHandler))
	lists, err := watchLists(files, name, slog.New(slog.DiscardHandler), func() (*link.Book, error) { return publication(name).read([]seal.Master{m, older}) })
	if err != nil {
		t.Fatal(err)
	}
	want := func(key seal.PublicKey, user, version uint32) {
		t.Helper()
		if _, got := lists.newest(key, user); got != version {
			t.Errorf("user %d: got list %d, want %d", user, got, version)
		}
	}
	want(m.PublicKey(), 3, 1)
	want(m.PublicKey(), 6, 0)
	want(older.PublicKey(), 3, 0)
	publish(t, name, older, "all", 2)
	files.Reread()
	want(m.PublicKey(), 3, 0)
	want(older.PublicKey(), 3, 2)
	if err := os.WriteFile(name, []byte("of no use"), 0o600); err != nil {
		t.Fatal(err)
	}
	files.Reread()
	want(older.PublicKey(), 3, 2)
}

func TestAFileOfListsThatIsOfNoUseIsRefused(t *testing.T) {
	t.Parallel()
	dir, m := t.TempDir(), seal.NewMaster()
	foreign := filepath.Join(dir, "foreign")
	publish(t, foreign, seal.NewMaster(), "all", 1)
	huge := filepath.Join(dir, "huge")
	if err := os.WriteFile(huge, make([]byte, maxPublication+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{filepath.Join(dir, "none"): "no such file", foreign: "none of its lists is signed", huge: "larger than"} {
		if _, err := publication(name).read([]seal.Master{m}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
