package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/internal/link"
	"culvert/internal/seal"
)

// told is what a user is told of by a file.
func told(t *testing.T, file string, m seal.Master, user uint32) *link.List {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := link.ParsePublished(string(text), []seal.PublicKey{m.PublicKey()})
	if err != nil {
		t.Fatal(err)
	}
	signed, version := all.Book().For(m.PublicKey(), user, time.Now())
	if version == 0 {
		return nil
	}
	l, err := link.ParseList(signed, m.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// names are the fronts of a list.
func names(l *link.List) string {
	var all []string
	for _, f := range l.Fronts {
		all = append(all, f.Host)
	}
	return strings.Join(all, " ")
}

func TestFrontsArePublishedRotatedAndWithdrawn(t *testing.T) {
	t.Parallel()
	secret, master := secretFile(t, 0o600)
	file := filepath.Join(t.TempDir(), "fronts")
	run := func(args ...string) string {
		t.Helper()
		all := append([]string{"link", "fronts", args[0], "--secret-file", secret, "--file", file}, args[1:]...)
		code, stdout, stderr := culvert(t, all...)
		if code != 0 || stderr != "" {
			t.Fatalf("%v: got code %d and %q", args, code, stderr)
		}
		return stdout
	}
	old, err := link.ParseFront("wss://old.example/")
	if err != nil {
		t.Fatal(err)
	}

	run("publish", "--front", "wss://one.example/", "--front", "wss://two.example/;sni=none", "--withdraw", "old.example")
	first := told(t, file, master, 7)
	if names(first) != "one.example two.example" || !first.Withdraws(old) {
		t.Errorf("got %+v, want what was published", first)
	}
	if days := time.Until(first.Expires).Hours() / 24; days < 179 || days > 180 {
		t.Errorf("it holds for %.1f days, want 180", days)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file of its owner's", info.Mode(), err)
	}

	run("publish", "--users", "77,1-5", "--front", "wss://three.example/", "--days", "1")
	if l := told(t, file, master, 3); names(l) != "three.example" || l.Withdraws(old) || l.Version <= first.Version {
		t.Errorf("a group: got %+v", l)
	}
	if l := told(t, file, master, 7); names(l) != names(first) {
		t.Errorf("the others: got %+v", l)
	}

	run("withdraw", "--withdraw", "wss://one.example/", "--withdraw", "three.example")
	if l := told(t, file, master, 7); names(l) != "two.example" || len(l.Withdrawn) != 3 {
		t.Errorf("withdrawn for all: got %+v", l)
	}
	if l := told(t, file, master, 77); names(l) != "" || !l.Withdraws(first.Fronts[0]) {
		t.Errorf("withdrawn for the group: got %+v", l)
	}

	run("publish", "--users", "1-5,77", "--front", "wss://three.example/ok")
	if l := told(t, file, master, 77); names(l) != "three.example" || l.Withdraws(l.Fronts[0]) {
		t.Errorf("published again: got %+v", l)
	}
	shown := run("show")
	for _, want := range []string{"Users all: list ", "Users 1-5,77: list ", "wss://two.example/;sni=none", "withdrawn  3"} {
		if !strings.Contains(shown, want) {
			t.Errorf("got %s, want %q", shown, want)
		}
	}
	before := told(t, file, master, 77)
	run("renew", "--days", "365")
	if l := told(t, file, master, 77); names(l) != names(before) || l.Version <= before.Version || !l.Expires.After(before.Expires) {
		t.Errorf("renewed: got %+v", l)
	}
	before = told(t, file, master, 77)
	run("renew", "--days", "0")
	if l := told(t, file, master, 77); l.Version <= before.Version || !l.Expires.Equal(before.Expires) {
		t.Errorf("signed anew: got %+v, want it to hold as long as %+v", l, before)
	}
	run("remove", "--users", "1-5,77")
	if l := told(t, file, master, 77); names(l) != "two.example" {
		t.Errorf("of no group any more: got %+v", l)
	}
}

// A list that has expired holds again once it is renewed for some days, and not by being signed anew alone.
func TestAListThatHasExpiredIsRenewed(t *testing.T) {
	t.Parallel()
	secret, master := secretFile(t, 0o600)
	old := &link.List{Version: 1000, Expires: time.Unix(2000, 0), Fronts: []link.Front{{Host: "one.example", Path: "/"}}}
	signed, err := old.Sign(master)
	if err != nil {
		t.Fatal(err)
	}
	lists := file(t, "fronts", link.Published{{Users: link.Everybody, Origin: master.PublicKey(), List: old, Signed: signed}}.Text(), 0o600)
	for _, c := range [][2]string{{"0", "has not held since 1970-01-01"}, {"30", "holds until"}} {
		code, stdout, stderr := culvert(t, "link", "fronts", "renew", "--secret-file", secret, "--file", lists, "--days", c[0])
		if code != 0 || !strings.Contains(stdout, c[1]) {
			t.Errorf("%s days: got %d, %s%s, want %q", c[0], code, stdout, stderr, c[1])
		}
	}
}

// While a secret is replaced, the links of both learn of the same fronts.
func TestListsAreForTheLinksOfAllSecrets(t *testing.T) {
	t.Parallel()
	_, newer := secretFile(t, 0o600)
	_, older := secretFile(t, 0o600)
	both := file(t, "secrets", newer.Text()+"\n"+older.Text()+"\n", 0o600)
	lists := filepath.Join(t.TempDir(), "fronts")
	if code, _, stderr := culvert(t, "link", "fronts", "publish", "--secret-file", both, "--file", lists, "--front", "wss://one.example/"); code != 0 {
		t.Fatal(stderr)
	}
	for _, m := range []seal.Master{newer, older} {
		if l := told(t, lists, m, 7); l == nil || names(l) != "one.example" {
			t.Errorf("got %v", l)
		}
	}
}

func TestWhatCannotBePublishedIsSaidInWords(t *testing.T) {
	t.Parallel()
	secret, _ := secretFile(t, 0o600)
	other, _ := secretFile(t, 0o600)
	lists := filepath.Join(t.TempDir(), "fronts")
	if code, _, stderr := culvert(t, "link", "fronts", "publish", "--secret-file", secret, "--file", lists, "--users", "1-5", "--front", "wss://one.example/"); code != 0 {
		t.Fatal(stderr)
	}
	good, err := os.ReadFile(lists)
	if err != nil {
		t.Fatal(err)
	}
	broken := file(t, "broken", string(good[:len(good)-9])+"\n", 0o600)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"publish"}, "--secret-file and --file are needed"},
		{[]string{"publish", "--secret-file", "-", "--file", "-"}, "both the standard input"},
		{[]string{"publish", "--secret-file", secret, "--file", lists}, "--front is missing"},
		{[]string{"publish", "--secret-file", secret, "--file", lists, "--front", "x"}, "--front, number 1 of 1"},
		{[]string{"publish", "--secret-file", secret, "--file", lists, "--users", "5", "--front", "wss://a.example/"}, "in the group 1-5"},
		{[]string{"publish", "--secret-file", secret, "--file", lists, "--users", "x", "--front", "wss://a.example/"}, "--users: users are numbers"},
		{[]string{"publish", "--secret-file", secret, "--file", lists, "--days", "0", "--front", "wss://a.example/"}, "--days is 1 to"},
		{[]string{"publish", "--secret-file", secret, "--file", lists, "--front", "wss://a.example/", "--withdraw", "a.example"}, "withdrawn as well"},
		{[]string{"publish", "--secret-file", secret, "--file", lists, "--front", "wss://a.example/", "--withdraw", "a b"}, "--withdraw, number 1 of 1"},
		{[]string{"withdraw", "--secret-file", secret, "--file", lists}, "--withdraw is missing"},
		{[]string{"remove", "--secret-file", secret, "--file", lists, "--users", "7"}, "one of the groups: 1-5"},
		{[]string{"renew", "--secret-file", secret, "--file", filepath.Join(t.TempDir(), "none")}, "holds no list"},
		{[]string{"show", "--secret-file", other, "--file", lists}, "--drop-others"},
		{[]string{"renew", "--secret-file", other, "--file", lists}, "--drop-others"},
		{[]string{"show", "--secret-file", secret, "--file", broken}, "line 2: the list of fronts was cut"},
	} {
		code, stdout, stderr := culvert(t, append([]string{"link", "fronts"}, c.args...)...)
		if code == 0 || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: got code %d and %q, want %q", c.args, code, stderr, c.want)
		}
	}
	if now, err := os.ReadFile(lists); err != nil || string(now) != string(good) {
		t.Errorf("the file has changed: %v", err)
	}
}
