package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"culvert/internal/lang"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/test/local/localtest"
)

// wrongInput is what people may hand to a command that it can do nothing with, by command, and what the refusal says. LINK, SECRET and
// the other words in capitals are files of wrongFiles.
var wrongInput = map[string]map[string]string{
	"link show": {
		"--link-file NONE":   "no such file",
		"--link-file FOLDER": "is a directory",
		"--link-file EMPTY":  "there is no link here",
		"--link-file UTF16":  "there is no link here",
		"--link-file HUGE":   "too large: not the file",
		"--link-file OPEN":   "chmod 600",
		"--link-file CUT":    "copy it whole",
		"--link-file BINARY": "there is no link here",
		"--link-file":        "flag needs an argument: --link-file",
		"culvert:x":          "command line",
	},
	"connect --link-file LINK": {
		"--nonsense":                       "not defined: --nonsense",
		"--chat 5222":                      "--chat: an address is HOST:PORT",
		"--chat 127.0.0.1:99999":           "--chat: an address is",
		"--chat 127.0.0.1:http-nonsense":   "--chat: an address is",
		"--chat [::1":                      "IPv6 address stands in brackets",
		"--media fd00::1:80":               "--media: an address is",
		"--media a_b:80":                   "--media: an address is",
		"--also 45":                        "--also: an address is",
		"--web x":                          "--web: an address is",
		"--raw-chat :-1":                   "--raw-chat: an address is",
		"--web 127.0.0.1:5222":             "--chat and --web name the same port, 5222: give one of them another",
		"--web :7777":                      "--media and --web name the same port",
		"--also ":                          "--also: an address is HOST:PORT",
		"--also :5222":                     "--chat and --also name the same port",
		"--also [::]:9 --also 127.0.0.1:9": "--also and --also name the same port, 9",
		"--raw-chat :9 --web 0.0.0.0:9":    "--web and --raw-chat name the same port",
		"--chat :9 --media 127.0.0.1:9":    "--chat and --media name the same port",
		"--lan --chat 127.0.0.1:5222":      "--lan lets phones in, but --chat 127.0.0.1:5222",
		"--lan --media [::1]:9":            "leave the host out, as in --media :9",
		"--lan --chat localhost:9":         "leave the host out, as in --chat :9",
		"--host a/b":                       "--host is a name",
		"--host 192.168.1.300":             "--host is a name",
		"--host home.example:5222":         "--host is a name",
		"--host 0.0.0.0":                   "needs a host name",
		"--via ftp://proxy.example":        "a proxy is",
		"--via http://u:hush@proxy:99999":  "a proxy is",
		"--via http://":                    "a proxy is",
		"--resolver dns.example":           "--resolver, number 1 of 1: resolver: write it as",
		"--resolver https://a/;door=x":     "resolver",
		"--look netscape":                  "there are auto, chromium",
		"--visit perhaps":                  "--visit is yes or no",
		"--dial-rate x":                    "for flag --dial-rate",
		"--lan=x":                          "for flag --lan",
		"--dial-rate 0":                    "--dial-rate is more than 0",
		"--dial-rate NaN":                  "--dial-rate is more than 0",
		"--max-guests -1":                  "--max-guests",
		"--language xx":                    "there are en, fa, ru, ar, zh, my",
		"another":                          "command line",
		"--state-dir x":                    "not defined: --state-dir",
		"--resolver https://192.0.2.1:0/q": "a port is a number",
	},
	"doctor": {
		"":                                         "the link is missing",
		"--link-file LINK --timeout x":             "for flag --timeout",
		"--link-file LINK --timeout 0":             "--timeout is a time",
		"--link-file LINK --patient 100s":          "--patient is a time of at most",
		"--link-file LINK --chat-root x":           "64 hexadecimal digits",
		"--link-file LINK --media-ca NONE":         "no such file",
		"--link-file LINK --media-ca FOLDER":       "is a directory",
		"--link-file LINK --media-ca EMPTY":        "this one has none",
		"--link-file LINK --media-ca HUGE":         "too large",
		"--direct --link-file LINK":                "takes no link",
		"--direct --via none":                      "--direct asks without any",
		"--direct --fronting":                      "--direct asks without any",
		"--direct --admin x":                       "--admin is HOST:PORT",
		"--direct --upstream-chat x":               "not host:port",
		"--admin 127.0.0.1:1":                      "--admin goes with --direct",
		"--link-file LINK --upstream-chat 127.1:1": "go with --direct alone",
	},
	"status": {"--state SECRET": "not a directory", "--state none": "--state", "all": "unexpected argument"},
	"link new --user 1 --front wss://a.example/": {
		"--secret-file NONE":                                    "no such file",
		"--secret-file FOLDER":                                  "is a directory",
		"--secret-file EMPTY":                                   "not a master secret",
		"--secret-file UTF16":                                   "not a master secret",
		"--secret-file HUGE":                                    "too large",
		"--secret-file LINK":                                    "not a master secret",
		"--secret-file OPEN":                                    "chmod 600",
		"--secret-file SECRET --gate-file EMPTY":                "not a gate secret",
		"--secret-file SECRET --gate-file BINARY":               "not a gate secret",
		"--secret-file - --gate-file -":                         "both the standard input",
		"--secret-file SECRET --user x":                         "it is a number up to 4294967295",
		"--secret-file SECRET --user -1":                        "it is a number",
		"--secret-file SECRET --pin NONE":                       "no such file",
		"--secret-file SECRET --pin EMPTY":                      "no certificate in it",
		"--secret-file SECRET --pin HUGE":                       "too large",
		"--secret-file SECRET --qr-file x":                      ".png or .svg",
		"--secret-file SECRET --invitation x":                   ".html or .txt",
		"--secret-file SECRET --invitation x.html --lang tlh":   "there are en, fa",
		"--secret-file SECRET --download https://a.example/":    "--invitation",
		"--secret-file SECRET --invitation x.html --download x": "begins with https://",
		"--secret-file SECRET --resolver x":                     "write it as https://",
		"--secret-file SECRET --front wss://a.example/":         "the same as front",
		"--secret-file SECRET --front ":                         "write it as wss://",
		"--secret-file SECRET --front https://a.example/":       "write it as wss://",
		"--secret-file SECRET --front wss://":                   "a host is a name",
		"--secret-file SECRET --front wss://b:0/":               "a port is a number",
		"--secret-file SECRET --front wss://2001:db8::1/":       "in brackets",
		"--secret-file SECRET --front wss://пример.example/":    "other scripts as xn--",
		"--secret-file SECRET --front wss://b/#c":               "a path starts with /",
		"--secret-file SECRET --front wss://b/;x=y":             "unknown option",
		"--secret-file SECRET --front wss://b/;dial":            "an option is NAME=VALUE",
		"--secret-file SECRET --front wss://b/;sni=192.0.2.1":   "an IP address cannot be sent",
		"--secret-file SECRET --front wss://b/;pin=00":          "64 hexadecimal digits",
		"--secret-file SECRET --front wss://b/;door=x":          "door is stream",
		"--secret-file SECRET --front wss://b/;look=X":          "small letters",
		"--secret-file SECRET --front wss://b/;visit=x":         "yes, or no",
		"--secret-file SECRET --front wss://b/;host=b;host=b":   "is given twice",
	},
	"link new --secret-file SECRET": {"--user 1": "--front is missing"},
	"link":                          {"": "say which command", "nwe": "did you mean \"new\"", "secret x": "unexpected argument"},
	"service":                       {"": "say which command", "instal": "did you mean \"install\"", "status x": "unexpected argument", "stop --x": "not defined: --x"},
	"":                              {"": "say which command", "Chat": "there is no command \"Chat\"", "version x": "unexpected argument"},
}

// wrongFiles makes what wrongInput names in an empty folder.
func wrongFiles(t *testing.T) (folder string, names *strings.Replacer) {
	folder = t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	secret := seal.NewMaster()
	l := &link.Link{Keys: secret.Client(1), Fronts: []link.Front{localtest.DeadFront(t)}}
	for name, text := range map[string]string{
		"secret": secret.Text(), "link": l.String(), "empty": "", "utf16": "\xff\xfeA\x00", "huge": strings.Repeat("x", 2<<20),
		"open": l.String(), "cut": l.String()[:40], "binary": "\x7fELF\x00\x01\x02\xff",
	} {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(at("open"), 0o644); err != nil {
		t.Fatal(err)
	}
	return folder, strings.NewReplacer("SECRET", at("secret"), "LINK", at("link"), "NONE", at("none"), "FOLDER", folder, "EMPTY", at("empty"),
		"UTF16", at("utf16"), "HUGE", at("huge"), "OPEN", at("open"), "CUT", at("cut"), "BINARY", at("binary"))
}

// inARow are English words that are no names of what is typed.
var inARow = regexp.MustCompile(`\b[a-z]{2,}( [a-z]{2,}){2,}`)

// What a person hands over that is wrong ends the command with 2 and a sentence in their language, and leaves nothing behind.
func TestWrongInputIsRefusedInAPersonsLanguage(t *testing.T) {
	t.Parallel()
	folder, names := wrongFiles(t)
	before, _ := os.ReadDir(folder)
	for command, rows := range wrongInput {
		for given, want := range rows {
			args := strings.Fields(names.Replace(command + " " + given))
			if strings.HasSuffix(given, " ") {
				args = append(args, "")
			}
			if code, stdout, stderr := culvert(t, args...); code != 2 || stdout != "" || !strings.Contains(stderr, want) || strings.Contains(stderr, "hush") {
				t.Errorf("%s %s: got %d, %q, %q, want 2 and %q", command, given, code, stdout, stderr, want)
			}
			told := inPersian(t, args)
			told = told[max(strings.LastIndex(told, "culvert: "), 0):] // help, which may stand before, is English
			for _, words := range inARow.FindAllString(told, -1) {
				if !strings.HasPrefix(words, "culvert ") {
					t.Errorf("%s %s: %q in %q", command, given, words, told)
				}
			}
		}
	}
	if after, _ := os.ReadDir(folder); len(after) != len(before) {
		t.Errorf("got %d files after all, want %d as before: %v", len(after), len(before), after)
	}
}

// inPersian is what is told on the standard error to who speaks Persian.
func inPersian(t *testing.T, args []string) string {
	t.Helper()
	p := program
	p.Language = func([]string) lang.Language { return lang.Persian }
	var out, told bytes.Buffer
	if code := p.Run(context.Background(), args, &out, &told); code != 2 {
		t.Errorf("%v: got %d, want 2", args, code)
	}
	return told.String()
}

// A place that cannot be written to is named as it was given, and not as what is written there first.
func TestAFileThatCannotBeWrittenIsNamedAsGiven(t *testing.T) {
	t.Parallel()
	_, names := wrongFiles(t)
	for _, flag := range []string{"--qr-file NONE/x.png", "--invitation NONE/x.html"} {
		args := strings.Fields(names.Replace("link new --secret-file SECRET --user 1 --front wss://a.example/ " + flag))
		want := args[len(args)-1] + ": no such file"
		if code, stdout, stderr := culvert(t, args...); code != 1 || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: got %d, %q, %q, want 1 and %q", flag, code, stdout, stderr, want)
		}
	}
}

// An address that is not this machine's may be so in a moment, as when the network starts after the client: what ends with 2
// is not tried again.
func TestAnAddressThatIsNotThereIsNoWrongInput(t *testing.T) {
	t.Parallel()
	_, names := wrongFiles(t)
	for _, flag := range []string{"--chat 192.0.2.1:5222", "--media 192.0.2.1:443", "--also 192.0.2.1:80", "--web 192.0.2.1:1080"} {
		args := strings.Fields(names.Replace("connect --link-file LINK --state none --chat 127.0.0.1:0 --media 127.0.0.1:0 " + flag))
		if code, _, stderr := culvert(t, args...); code != 1 || !strings.Contains(stderr, "this machine has no such address") {
			t.Errorf("%s: got %d, %q, want 1", flag, code, stderr)
		}
	}
}
