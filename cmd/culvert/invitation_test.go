package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"culvert/internal/link"
	"culvert/internal/secret"
)

func TestAnInvitationHoldsTheLinkForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	secretName, _ := secretFile(t, 0o600)
	dir := t.TempDir()
	for name, wants := range map[string][]string{
		"a.html": {`lang="fa" dir="rtl"`, "<svg", "پیوند شما", "https://get.example/culvert"},
		"a.txt":  {"\uFEFF", "پیوند شما", "\r\n", "https://get.example/culvert"},
	} {
		to := filepath.Join(dir, name)
		code, stdout, stderr := culvert(t, "link", "new", "--secret-file", secretName, "--user", "7", "--front", "wss://cdn.example/",
			"--invitation", to, "--lang", "fa_IR", "--download", "https://get.example/culvert")
		if code != 0 || stderr != "" {
			t.Fatalf("%s: got %d, %q", name, code, stderr)
		}
		text, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
		if l, err := link.Find(secret.Text(text)); err != nil || l.String() != strings.TrimSpace(stdout) {
			t.Errorf("%s: got %v, want the same link when the whole of it is pasted", name, err)
		}
		if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, %v, want one for its owner alone", name, info.Mode(), err)
		}
	}
}

func TestAnInvitationThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	secretName, _ := secretFile(t, 0o600)
	for want, args := range map[string][]string{
		"let its name end in .html or .txt": {"--invitation", "invitation.pdf"},
		"--invitation invitation.html":      {"--download", "https://get.example/"},
		"begins with https://":              {"--invitation", filepath.Join(t.TempDir(), "a.html"), "--download", "javascript:alert(1)"},
		"there are en, fa, ru, ar, zh, my":  {"--invitation", "a.html", "--lang", "tlh"},
	} {
		code, stdout, stderr := culvert(t, append([]string{"link", "new", "--secret-file", secretName, "--user", "7", "--front", "wss://cdn.example/"}, args...)...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%q: got %d, %q, %q; want %q", args, code, stdout, stderr, want)
		}
	}
}
