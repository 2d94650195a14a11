package main

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"culvert/internal/lang"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/term"
	"culvert/test/local/localtest"
)

func TestTheEnvironmentSaysTheLanguageAndElseTheSystem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env    map[string]string
		system []string
		want   lang.Language
	}{
		{map[string]string{"LANG": "fa_IR.UTF-8"}, nil, lang.Persian},
		{map[string]string{"LANG": "fa_IR.UTF-8", "LC_ALL": "ru_RU.UTF-8"}, nil, lang.Russian},
		{map[string]string{"LANG": "fa_IR.UTF-8", "LC_MESSAGES": "ar"}, nil, lang.Arabic},
		{map[string]string{"LANG": "en_US.UTF-8", "LANGUAGE": "de:my:fa"}, nil, lang.Burmese},
		{map[string]string{"LANG": "zh_CN.UTF-8", "LANGUAGE": "de"}, nil, lang.Chinese},
		{map[string]string{"LC_ALL": "C.UTF-8", "LANGUAGE": "fa"}, []string{"ru"}, lang.English},
		{nil, []string{"de-DE", "zh-Hans-CN"}, lang.Chinese},
		{nil, nil, lang.English},
	} {
		got := systemLanguage(func(name string) string { return c.env[name] }, func() []string { return c.system })
		if lang.Language(got) != c.want {
			t.Errorf("%v, %v: got %s, want %s", c.env, c.system, got, c.want)
		}
	}
}

func TestACommandLineThatIsWrongIsSoInItsLanguage(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"--visit: yes или no\nПопробуйте: culvert connect --help": {"connect", "--language", "ru", "--visit", "perhaps"},
		"неизвестный параметр: --nonsense":                        {"doctor", "--language=ru", "--nonsense"},
		"没有命令 \"conect\"；是否想用 \"connect\"？":                       {"conect", "--language", "zh"},
		"there are en, fa, ru, ar, zh, my":                        {"status", "--language", "xx"},
		"چنین فایل یا پوشه\u200cای نیست":                          {"link", "show", "--language", "fa", "--link-file", "/nonexistent"},
	} {
		code, stdout, stderr := culvert(t, args...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%v: got %d, %q, want 2 and %q", args, code, stderr, want)
		}
	}
}

// What a command tells of a front that is down has no English words but those that every language's texts have, and
// fits a terminal of 80 columns.
func TestWhatCommandsTellIsInThePersonsLanguage(t *testing.T) {
	t.Parallel()
	l := &link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{localtest.DeadFront(t)}}
	name := file(t, "link", l.String(), 0o600)
	for _, language := range lang.All[1:] {
		for _, args := range [][]string{{"doctor", "--link-file", name, "--timeout", "20s"}, {"link", "show", "--link-file", name}} {
			_, stdout, stderr := culvert(t, append(args, "--language", string(language))...)
			for line := range strings.Lines(stdout + stderr) {
				if words := englishWords(line); len(words) > 0 {
					t.Errorf("%s, %v: %q in %q", language, args, words, line)
				}
				if n := term.Columns(strings.TrimSuffix(line, "\n")); n > 80 && strings.HasPrefix(line, "  ") {
					t.Errorf("%s, %v: %d columns in %q", language, args, n, line)
				}
			}
		}
	}
}

// isKept are the words of the sources' languages that stay: what is typed, and names.
var isKept = strings.Fields("culvert doctor direct dial dials host Host verifies pin TLS CDN CA DNS WhatsApp Culvert SNI wss ms s localhost none")

func englishWords(line string) (words []string) {
	isOther := func(r rune) bool { return r >= 0x80 || !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	for _, w := range strings.FieldsFunc(line, isOther) {
		if len(w) > 1 && !strings.ContainsAny(w, "0123456789") && !slices.Contains(isKept, w) && !strings.Contains(line, "://") {
			words = append(words, w)
		}
	}
	return words
}
