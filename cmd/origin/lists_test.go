package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/serve"
)

// signedList is a file's text with a list for all users.
func signedList(t *testing.T, m seal.Master, version uint32) string {
	t.Helper()
	l := &link.List{Version: version, Expires: time.Now().Add(24 * time.Hour).Truncate(time.Second)}
	signed, err := l.Sign(m)
	if err != nil {
		t.Fatal(err)
	}
	return link.Published{{Users: link.Everybody, Origin: m.PublicKey(), List: l, Signed: signed}}.Text()
}

// Carriers ask for the newest list as they are read: they are answered at once also while a file is being read,
// however long that takes.
func TestWhoAsksForTheNewestListWaitsForNoFile(t *testing.T) {
	t.Parallel()
	m := seal.NewMaster()
	name := filepath.Join(t.TempDir(), "fronts")
	synctest.Test(t, func(t *testing.T) {
		write := func(version uint32) {
			if err := os.WriteFile(name, []byte(signedList(t, m, version)+strings.Repeat("\n", int(version))), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(1)
		slow := make(chan struct{}, 1)
		slow <- struct{}{}
		l, err := watchLists(serve.NewFiles(slog.New(slog.DiscardHandler)), name, slog.New(slog.DiscardHandler), func() (*link.Book, error) {
			<-slow
			return publication(name).read([]seal.Master{m})
		})
		if err != nil {
			t.Fatal(err)
		}
		stop := l.follow(t.Context())
		write(2)
		<-time.After(time.Minute)
		if _, version := l.newest(m.PublicKey(), 7); version != 1 {
			t.Errorf("got list %d while the file is read, want the one before", version)
		}
		slow <- struct{}{}
		synctest.Wait()
		if _, version := l.newest(m.PublicKey(), 7); version != 2 {
			t.Errorf("got list %d, want the newest", version)
		}
		stop()
	})
}

// An origin that cannot use the file goes on without lists, says so, and takes them as soon as it can.
func TestAnOriginBeginsWithoutListsThatItCannotUse(t *testing.T) {
	t.Parallel()
	m := seal.NewMaster()
	for what, text := range map[string]string{"none": "", "of another secret": signedList(t, seal.NewMaster(), 1), "cut": signedList(t, m, 1)[:200]} {
		name := filepath.Join(t.TempDir(), "fronts")
		if text != "" {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var log bytes.Buffer
		files := serve.NewFiles(slog.New(slog.NewTextHandler(&log, nil)))
		read := func() (*link.Book, error) { return publication(name).read([]seal.Master{m}) }
		l, err := watchLists(files, name, slog.New(slog.NewTextHandler(&log, nil)), read)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if list, version := l.newest(m.PublicKey(), 7); list != nil || version != 0 {
			t.Errorf("%s: got list %d", what, version)
		}
		if got := log.String(); !strings.Contains(got, "level=ERROR") || strings.Count(got, "\n") != 1 {
			t.Errorf("%s: the log is %s, want an error", what, got)
		}
		if err := os.WriteFile(name, []byte(signedList(t, m, 2)), 0o600); err != nil {
			t.Fatal(err)
		}
		files.Reread()
		if _, version := l.newest(m.PublicKey(), 7); version != 2 {
			t.Errorf("%s: got list %d when there is one", what, version)
		}
		if err := os.WriteFile(name, []byte("rubbish"), 0o600); err != nil {
			t.Fatal(err)
		}
		files.Reread()
		if _, version := l.newest(m.PublicKey(), 7); version != 2 {
			t.Errorf("%s: got list %d, want the one before the rubbish", what, version)
		}
	}
}
