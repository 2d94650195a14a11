package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"culvert/internal/lang"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/secret"
	"culvert/internal/term"
)

// culvert runs the program.
func culvert(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = program.Run(context.Background(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func secretFile(t *testing.T, mode os.FileMode) (name string, master seal.Master) {
	t.Helper()
	code, text, stderr := culvert(t, "link", "secret")
	if code != 0 || stderr != "" {
		t.Fatalf("got code %d and %q, want a secret alone", code, stderr)
	}
	master, err := seal.ParseMaster(text)
	if err != nil || strings.Count(text, "\n") != 1 {
		t.Fatalf("got %v, want one line that is a secret", err)
	}
	return file(t, "secret", text, mode), master
}

func file(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	return name
}

// certificate is a PEM file and its pin.
func certificate(t *testing.T) (name string, pin link.Pin) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if pin, err = link.PinPEM(text); err != nil {
		t.Fatal(err)
	}
	return file(t, "cert.pem", string(text), 0o644), pin
}

func TestANewLinkHoldsTheUsersKeysAndTheFronts(t *testing.T) {
	t.Parallel()
	secret, master := secretFile(t, 0o600)
	cert, pin := certificate(t)
	for name, c := range map[string]struct {
		args   []string
		user   uint32
		fronts []string
	}{
		"the least": {[]string{"--front", "wss://edge.example/"}, 1, []string{"wss://edge.example/"}},
		"pinned":    {[]string{"--front", "wss://127.0.0.1:18443/", "--pin", cert}, 1, []string{"wss://127.0.0.1:18443/;pin=" + pin.String()}},
		"all": {[]string{"--user", "7", "--front", "wss://a.example:8443/x;dial=192.0.2.1;sni=none;host=b.example;verify=c.example",
			"--front=wss://d.example/", "-pin", cert}, 7, []string{
			"wss://b.example/x;dial=192.0.2.1:8443;sni=none;verify=c.example;pin=" + pin.String(), "wss://d.example/;pin=" + pin.String()}},
	} {
		code, stdout, stderr := culvert(t, append([]string{"link", "new", "--secret-file", secret, "--user", "1"}, c.args...)...)
		if code != 0 || stderr != "" || strings.Count(stdout, "\n") != 1 {
			t.Errorf("%s: got code %d, %q, %q, want one line", name, code, stdout, stderr)
			continue
		}
		l, err := link.Parse(strings.TrimSuffix(stdout, "\n"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if l.Keys != master.Client(c.user) {
			t.Errorf("%s: got keys of user %d, want user %d's", name, l.Keys.User, c.user)
		}
		for i, f := range l.Fronts {
			if f.String() != c.fronts[i] {
				t.Errorf("%s: got %s, want %s", name, f, c.fronts[i])
			}
		}
	}
}

func TestWhoNamesNoUserGetsOneThatNobodyHas(t *testing.T) {
	t.Parallel()
	secret, master := secretFile(t, 0o600)
	had := map[uint32]bool{}
	for range 3 {
		code, stdout, stderr := culvert(t, "link", "new", "--secret-file", secret, "--front", "wss://a.example/")
		l, err := link.Parse(strings.TrimSuffix(stdout, "\n"))
		if code != 0 || err != nil {
			t.Fatalf("got code %d, %q, %v, want a link", code, stderr, err)
		}
		user := l.Keys.User
		if user < 1<<31 || had[user] || l.Keys != master.Client(user) {
			t.Errorf("got user %d after %v, want one that is neither counted nor had", user, had)
		}
		if want := fmt.Sprintf("user %d, ", user); !strings.Contains(stderr, want) || strings.Contains(stderr, l.String()[20:40]) {
			t.Errorf("got %q, want %q and nothing of the link", stderr, want)
		}
		had[user] = true
	}
}

func TestWhatOthersCanReadIsRefused(t *testing.T) {
	t.Parallel()
	for mode, open := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true} {
		secret, _ := secretFile(t, mode)
		code, stdout, stderr := culvert(t, "link", "new", "--secret-file", secret, "--user", "1", "--front", "wss://a.example/")
		if refused := code == 2 && stdout == "" && strings.Contains(stderr, "chmod 600 "+secret); refused != open || !open && code != 0 {
			t.Errorf("secret, mode %o: got code %d and %q, want a refusal: %v", mode, code, stderr, open)
		}
		name := file(t, "link", testLink(t).String(), mode)
		code, _, stderr = culvert(t, "link", "show", "--link-file", name)
		if refused := code == 2 && strings.Contains(stderr, "chmod 600 "+name); refused != open || !open && code != 0 {
			t.Errorf("link, mode %o: got code %d and %q, want a refusal: %v", mode, code, stderr, open)
		}
	}
}

func TestShowReadsALinkFromWhereverItIs(t *testing.T) {
	t.Parallel()
	l := testLink(t)
	for name, text := range map[string]string{
		"file":                    l.String() + "\n",
		"in upper case":           l.QR(),
		"file with broken lines":  l.String()[:40] + "\r\n  " + l.String()[40:] + "\n",
		"file of PowerShell's":    wide(l.String() + "\r\n"),
		"file of Windows' editor": "\xEF\xBB\xBF" + l.String() + "\r\n",
	} {
		code, stdout, stderr := culvert(t, "link", "show", "--link-file", file(t, "link", text, 0o600))
		if code != 0 || stderr != "" || !strings.Contains(stdout, "wss://edge.example/") || !strings.Contains(stdout, "user 5") {
			t.Errorf("%s: got code %d, %q, %q, want the link explained", name, code, stdout, stderr)
		}
	}
}

// wide is text in UTF-16 as PowerShell writes it.
func wide(text string) string {
	b := []byte("\xFF\xFE")
	for _, c := range utf16.Encode([]rune(text)) {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return string(b)
}

func TestALinkOnTheCommandLineIsRefused(t *testing.T) {
	t.Parallel()
	l := testLink(t).String()
	for _, args := range [][]string{{"link", "show", l}, {"connect", l}, {"doctor", l}, {"link", "show", l[:40], l[40:]}, {"connect", "--", l}, {"connect", l, "--link-file", "f"}} {
		code, stdout, stderr := culvert(t, args...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, "--link-file") || strings.Contains(stderr, l[20:40]) {
			t.Errorf("%v: got code %d, %q, %q, want a refusal with a way out", args[0], code, stdout, stderr)
		}
	}
}

func TestALinkIsReadFromStandardInput(t *testing.T) {
	t.Parallel()
	l := testLink(t)
	for _, args := range [][]string{{"-"}, {"--link-file", "-"}} {
		f := term.NewFlags("culvert link show", "", "")
		source := linkFlag(f)
		rest, err := f.ParseAll(args, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := source.read(t.Context(), rest, lang.English, strings.NewReader(l.String()+"\n"), io.Discard)
		if err != nil || got.String() != l.String() {
			t.Errorf("%v: got %v, want the link", args, err)
		}
	}
}

func TestAPastedLinkMayBeBrokenIntoLines(t *testing.T) {
	t.Parallel()
	l := testLink(t).String()
	for lines, want := range map[string]bool{
		l + "\n": true, strings.ToUpper(l) + "\n": true, l[:40] + "\n  " + l[40:] + "\n": true, l + "x\n": true,
		"Your link:\n" + l + "\n": true, l[:40] + "8\n": true,
		"\n": false, "Your link:\n": false, link.Scheme + "\n": false, l[:40] + "\n": false, l[:40] + "\n\n" + l[40:80] + "\n": false,
	} {
		if got := pasted(lang.English).Whole(lines); got != want {
			t.Errorf("%.60q: got %v, want %v: is it all that is to be read?", lines, got, want)
		}
	}
}

func testLink(t *testing.T) *link.Link {
	t.Helper()
	front, err := link.ParseFront("wss://edge.example/")
	if err != nil {
		t.Fatal(err)
	}
	return &link.Link{Keys: seal.NewMaster().Client(5), Fronts: []link.Front{front}}
}

func TestWhatCannotBeDoneIsRefusedWithAWayOut(t *testing.T) {
	t.Parallel()
	master, _ := secretFile(t, 0o600)
	text := testLink(t).String()
	new := func(args ...string) []string {
		return append([]string{"link", "new", "--secret-file", master, "--user", "1"}, args...)
	}
	front := []string{"--front", "wss://a.example/"}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing":              {nil, 2, "Commands:"},
		"a misspelled command": {[]string{"lnik"}, 2, `did you mean "link"?`},
		"another word":         {[]string{"frobnicate"}, 2, "no command"},
		"half a command":       {[]string{"link"}, 2, "Commands:"},
		"misspelled below":     {[]string{"link", "shwo"}, 2, `did you mean "show"?`},
		"an unknown flag":      {[]string{"link", "secret", "--loud"}, 2, "not defined"},
		"a needless argument":  {[]string{"link", "secret", "x"}, 2, `unexpected argument "x"`},
		"no secret":            {[]string{"link", "new", "--front", "wss://a/"}, 2, "--secret-file is missing"},
		"two standard inputs":  {[]string{"link", "new", "--secret-file", "-", "--gate-file", "-"}, 2, "both the standard input"},
		"a bad gate file":      {new(append(front, "--gate-file", master)...), 2, "not a gate secret"},
		"a picture of a kind":  {new(append(front, "--qr-file", "link.gif")...), 2, ".png or .svg"},
		"a picture nowhere":    {new(append(front, "--qr-file", filepath.Join(master, "link.png"))...), 1, "write QR code"},
		"no front":             {new(), 2, "--front is missing"},
		"no secret file":       {append([]string{"link", "new", "--user", "1", "--secret-file", master + "x"}, front...), 2, "no such file"},
		"a wrong secret file":  {append([]string{"link", "new", "--user", "1", "--secret-file", file(t, "f", "x", 0o600)}, front...), 2, "culvert link secret"},
		"an endless file":      {append([]string{"link", "new", "--user", "1", "--secret-file", file(t, "f", strings.Repeat("x", secret.MaxFile+1), 0o600)}, front...), 2, "too large"},
		"a bad front":          {new("--front", "http://a.example/"), 2, "--front, number 1 of 1: front: write it as wss://"},
		"the same front twice": {new(append(front, front...)...), 2, "same as front 1"},
		"no certificate file":  {new(append(front, "--pin", master+"x")...), 2, "read pin: open"},
		"no certificate in it": {new(append(front, "--pin", master)...), 2, "no certificate in it"},
		"a user too large":     {new(append(front, "--user", "4294967296")...), 2, "a number up to 4294967295"},
		"a user below zero":    {new(append(front, "--user", "-1")...), 2, "a number up to"},
		"no link":              {[]string{"link", "show"}, 2, "the link is missing"},
		"no link file":         {[]string{"link", "show", "--link-file", master + "x"}, 2, "no such file"},
		"half a link":          {[]string{"link", "show", "--link-file", file(t, "f", text[:100], 0o600)}, 2, "cut off: 100 of"},
		"something else":       {[]string{"link", "show", "--link-file", file(t, "f", "https://example.com", 0o600)}, 2, "starts with culvert:"},
	} {
		code, stdout, stderr := culvert(t, c.args...)
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: got code %d, %q, %q, want %d and %q", name, code, stdout, stderr, c.code, c.want)
		}
		if strings.Contains(stderr, text[20:40]) {
			t.Errorf("%s: got %q, want nothing of the link in it", name, stderr)
		}
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	t.Parallel()
	for _, help := range []string{"--help", "-h", "help"} {
		code, stdout, stderr := culvert(t, help)
		if code != 0 || stderr != "" || !strings.Contains(stdout, "  link ") {
			t.Errorf("culvert %s: got code %d, %q, %q, want help", help, code, stdout, stderr)
		}
	}
	for _, p := range []term.Program{linkProgram, frontsProgram} {
		words := strings.Fields(p.Name)[1:]
		for _, c := range p.Commands {
			if c.Name == "fronts" { // has commands of its own
				continue
			}
			for _, last := range [][]string{{c.Name, "--help"}, {"help", c.Name}} {
				args := slices.Concat(words, last)
				code, stdout, stderr := culvert(t, args...)
				if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "Usage: "+p.Name+" "+c.Name) ||
					!strings.Contains(stdout, "\nExample") {
					t.Errorf("%v: got code %d, %q, %q, want help with an example", args, code, stdout, stderr)
				}
			}
		}
	}
}

func TestQRPrintsTheLinkAndACodeOfIt(t *testing.T) {
	t.Parallel()
	secret, _ := secretFile(t, 0o600)
	code, stdout, stderr := culvert(t, "link", "new", "--secret-file", secret, "--front", "wss://a.example/", "--user", "1", "--qr")
	text, art, _ := strings.Cut(stdout, "\n")
	if code != 0 || stderr != "" {
		t.Fatalf("got code %d, %q, want a link and a code", code, stderr)
	}
	var want bytes.Buffer // scanners read what term draws, as its tests show
	if err := term.QR(&want, strings.ToUpper(text), term.Screen{}, false, ""); err != nil || art != want.String() {
		t.Errorf("got %v and\n%s\nwant the code of %q", err, art, strings.ToUpper(text))
	}
}

func TestAPictureOfTheCodeIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	master, _ := secretFile(t, 0o600)
	for _, c := range []struct{ end, start string }{{"png", "\x89PNG"}, {"svg", "<svg "}} {
		name := file(t, "link."+c.end, "what was there", 0o644)
		code, stdout, stderr := culvert(t, "link", "new", "--secret-file", master, "--user", "1", "--front", "wss://a.example/", "--qr-file", name)
		picture, err := os.ReadFile(name)
		info, _ := os.Stat(name)
		if code != 0 || stderr != "" || !strings.HasPrefix(stdout, link.Scheme) || err != nil || !strings.HasPrefix(string(picture), c.start) || info.Mode() != 0o600 {
			t.Errorf("%s: got code %d, %q, %v, %v, %.9q, want a link, and a picture for its owner", c.end, code, stderr, err, info.Mode(), picture)
		}
		if left, _ := filepath.Glob(name + "*"); len(left) != 1 {
			t.Errorf("got %v, want the picture alone", left)
		}
	}
}
