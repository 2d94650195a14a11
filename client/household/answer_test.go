package household

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// answering runs a client's answers in dir until the test's end, and returns its socket.
func answering(t *testing.T, dir string, s State) (socket string) {
	t.Helper()
	ln, err := listen(filepath.Join(dir, folder))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- answerAll(ctx, ln, func() State { return s }) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("got %v after the end, want none", err)
		}
		if left, _ := os.ReadDir(filepath.Join(dir, folder)); len(left) > 0 {
			t.Errorf("%v is left", left)
		}
	})
	return ln.Addr().String()
}

func TestAClientIsAskedByItsOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := home()
	want.PID = os.Getpid()
	socket := answering(t, dir, want)
	for name, mode := range map[string]os.FileMode{socket: 0o600, filepath.Dir(socket): 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: got %v, %v; want %v", name, info.Mode(), err, mode)
		}
	}
	if all, err := Ask(t.Context(), dir); err != nil || len(all) != 1 || all[0] != want {
		t.Errorf("got %+v, %v; want %+v", all, err, want)
	}
}

func TestWhatIsLeftOfADeadClientIsRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	os.MkdirAll(filepath.Join(dir, folder), 0o755)
	dead := filepath.Join(dir, folder, "1"+ending)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
	other := filepath.Join(dir, folder, "notes")
	os.WriteFile(other, nil, 0o600)
	if all, err := Ask(t.Context(), dir); len(all) > 0 || err != nil {
		t.Errorf("got %v, %v; want nobody", all, err)
	}
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Errorf("got %v, want the socket gone", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("got %v, want other files left alone", err)
	}
}

func TestWhoCannotBeAskedSaysSo(t *testing.T) {
	t.Parallel()
	if err := Answer(t.Context(), filepath.Join(t.TempDir(), strings.Repeat("long", 40)), home); err == nil {
		t.Error("got no error for a path that no socket can have")
	}
	if all, err := Ask(t.Context(), filepath.Join(t.TempDir(), "none")); len(all) > 0 || err != nil {
		t.Errorf("got %v, %v; want nobody, and no error", all, err)
	}
}

// A client that says nothing, or nonsense, is none.
func TestNonsenseIsNoAnswer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	os.MkdirAll(filepath.Join(dir, folder), 0o700)
	ln, err := net.Listen("unix", filepath.Join(dir, folder, "2"+ending))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for conn, err := ln.Accept(); err == nil; conn, err = ln.Accept() {
			conn.Write([]byte("{\"front\": \"x"))
			conn.Close()
		}
	}()
	if all, err := Ask(t.Context(), dir); len(all) > 0 || err != nil {
		t.Errorf("got %v, %v; want nobody", all, err)
	}
}
