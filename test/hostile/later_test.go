package hostile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/client"
	"culvert/internal/wire"
	"culvert/test/later"
)

// buildLater builds an origin of which all files of ours have package later for time. What others wrote, such as the
// web server with its Date, keeps the right time.
func buildLater(t *testing.T) (name string) {
	t.Helper()
	const ours = `{{if not .Standard}}{{if eq .Module.Path "culvert"}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{end}}{{end}}`
	files, err := exec.Command("go", "list", "-deps", "-f", ours, "culvert/cmd/origin").Output()
	must(t, err)
	dir, replace := t.TempDir(), map[string]string{}
	for file := range strings.FieldsSeq(string(files)) {
		source, err := os.ReadFile(file)
		must(t, err)
		if moved := bytes.Replace(source, []byte("\n\t\"time\"\n"), []byte("\n\ttime \"culvert/test/later\"\n"), 1); len(moved) > len(source) {
			replace[file] = write(t, string(moved), dir, fmt.Sprintf("%d.go", len(replace)))
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	must(t, err)
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-overlay", write(t, string(overlay), dir, "overlay"), "-o", filepath.Join(bin, "origin-later"), "culvert/cmd/origin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return "origin-later"
}

// sends opens n chats that send and wait for nothing.
func (u *user) sends(n int) {
	u.w.Helper()
	for range n {
		c, err := net.Dial("tcp", u.chat)
		must(u.w, err)
		u.w.Cleanup(func() { c.Close() })
		io.WriteString(c, opening+"and what an app says first")
	}
}

// Edges keep all of a user's for a day, one of which says a false date, so that tokens that it has seen are good then.
// What they have kept opens nothing when it comes again: not as it was, nor behind the tokens that are good, neither
// at the origin that still runs nor at another process.
func TestWhatAnEdgeHasKeptForADayOpensNothing(t *testing.T) {
	name := buildLater(t)
	f := newFar(t, false)
	w := newWorldWith(t, f.at, func(w *world) []string {
		w.program = name
		return []string{later.File + "=" + filepath.Join(w.dir, "later")}
	})
	honest, lying := newKeeper(w, false, 0), newKeeper(w, false, client.FrontOffset-time.Minute)
	w.userBy(1, []string{w.front}).sends(5)
	waitFor(t, "five dials", func() bool { return f.dialed.Load() == 5 })
	believer := w.device(1) // of the false date, as a client is
	believer.door, believer.ahead = lying.at, lying.ahead
	for range 3 {
		if s, err := believer.upgrade(believer.token()); err == nil {
			s.Close()
			t.Error("got a carrier by a token of tomorrow")
		}
	}
	d := w.device(2)
	d.door = honest.at
	r, err := d.carrier(nil)
	must(t, err)
	must(t, r.opens(1, 5, opening))
	waitFor(t, "ten dials", func() bool { return f.dialed.Load() == 10 })
	write(t, "", w.dir, "later")
	if s, err := w.device(3).upgrade(w.device(3).token()); err == nil {
		s.Close()
		t.Fatal("got a carrier by a token of the day before: it is no day later")
	}
	for range 2 {
		w.replaysADayLater(t, honest, lying)
		w.cutCarriers()
	}
	w.userBy(3, []string{newKeeper(w, true, later.Day).at}).sends(1) // by an edge that says what day it is
	waitFor(t, "an honest user's dial a day later", func() bool { return f.dialed.Load() > 10 })
	time.Sleep(time.Second)
	if n := f.dialed.Load(); n != 11 {
		t.Errorf("got %d dials, want ten of a day before and one of now", n)
	}
}

// tomorrows are the tokens that are good a day later.
func tomorrows(all []wire.Token) (good []wire.Token) {
	for _, token := range all {
		if time.Until(token.Expires()) > later.Day {
			good = append(good, token)
		}
	}
	return good
}

// replaysADayLater sends all that an edge has kept again, as it was, and behind each token that is good now.
func (w *world) replaysADayLater(t *testing.T, honest, lying *keeper) {
	t.Helper()
	let := 0
	for _, kept := range honest.all() {
		if replays(t, w.door, kept) {
			t.Error("the origin took what an edge had kept for a user's")
		}
		for _, token := range tomorrows(lying.tokens()) {
			head, rest, ok := bytes.Cut(kept, []byte(wire.TokenCookie+"="))
			if !ok {
				t.Fatal("got nothing of a carrier kept")
			}
			again := append(append(head[:len(head):len(head)], wire.TokenCookie+"="+token.Text()...), rest[wire.TokenLen:]...)
			if replays(t, w.door, again) {
				let++
			}
		}
	}
	for _, kept := range lying.all() {
		replays(t, w.door, kept)
	}
	t.Logf("%d tokens were good a day later, by which %d carriers came", len(tomorrows(lying.tokens())), let)
	if let == 0 {
		t.Error("got no carrier by a token that is good a day later: it was no attack")
	}
}
