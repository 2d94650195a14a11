package lang

import (
	"slices"
	"strings"
	"testing"
)

func TestATagOrALocaleAsksForALanguage(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]Language{
		"fa": Persian, "fa-IR": Persian, "fa_IR.UTF-8": Persian, "prs_AF": Persian, "FA": Persian,
		"ru_RU.UTF-8": Russian, "ar-EG": Arabic, "ar_SY@latin": Arabic,
		"zh-Hans-CN": Chinese, "zh_CN.GB18030": Chinese, "zh-TW": Chinese, "my_MM": Burmese,
		"en-GB": English, "C": English, "C.UTF-8": English, "POSIX": English,
	} {
		if got, ok := Match(tag); got != want || !ok {
			t.Errorf("%s: got %q, %v; want %q", tag, got, ok, want)
		}
	}
	for _, tag := range []string{"", "de", "fil", "fas", "*", "-", "_fa", "\x00"} {
		if got, ok := Match(tag); ok {
			t.Errorf("%q: got %q, want none", tag, got)
		}
	}
	if got := First("", "de_DE", "ru_RU.UTF-8", "fa"); got != Russian {
		t.Errorf("got %q, want the first that there is", got)
	}
}

func TestABrowserGetsTheLanguageThatItWantsMost(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]Language{
		"":                               English,
		"fa":                             Persian,
		"de, fa;q=0.8, en;q=0.5":         Persian,
		"en-US,en;q=0.9,my;q=0.8":        English,
		"en;q=0.2, zh-CN;q=0.9":          Chinese,
		"ru;q=0, en":                     English,
		"*":                              English,
		"ar;q=nonsense":                  English,
		"fa;q=7, ru;q=0.1":               Russian,
		";;;,,,q=1":                      English,
		"ru;q=0.5,ar;q=0.5":              Russian,
		"de," + repeat("fr,", 40) + "fa": English,
	} {
		if got := Accepted(header); got != want {
			t.Errorf("%q: got %q, want %q", header, got, want)
		}
	}
}

func repeat(s string, n int) (all string) {
	for range n {
		all += s
	}
	return all
}

func TestEveryLanguageHasANameATagAndADirection(t *testing.T) {
	t.Parallel()
	for _, l := range append(All, "") {
		rtl := l == Persian || l == Arabic
		if l.Name() == "" || l.Tag() == "" || (l.Dir() == "rtl") != rtl {
			t.Errorf("%q: got %q, %q, %q", l, l.Name(), l.Tag(), l.Dir())
		}
	}
}

func TestATextKeepsWhatIsPutIntoIt(t *testing.T) {
	t.Parallel()
	if got, want := Persian.Text("front %d of %d", 2, 3), "ورودی 2 از 3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, l := range []Language{English, "", "de"} {
		if got := l.Text("front %d of %d", 2, 3); got != "front 2 of 3" {
			t.Errorf("%q: got %q, want the English", l, got)
		}
	}
	if got := Persian.Text("no such message: %d%%", 7); got != "no such message: 7%" {
		t.Errorf("got %q, want the English of what is not in the catalogue", got)
	}
}

func TestASentenceIsFoundByWhatItWasMadeOf(t *testing.T) {
	t.Parallel()
	wantRussian(t, map[string]string{
		"Connected":                       "Подключено",
		"front 2 of 3":                    "вход 2 из 3",
		"front two of 3":                  "front two of 3", // no number
		"front 12 of 345, by the gateway": "вход 12 из 345, через шлюз",
		"dial tcp: 100% strange":          "dial tcp: 100% strange",
		"":                                "",
	})
	if got := English.Sentence("front 2 of 3"); got != "front 2 of 3" {
		t.Errorf("got %q, want English as it is", got)
	}
}

// wantRussian wants sentences in Russian.
func wantRussian(t *testing.T, all map[string]string) {
	t.Helper()
	for english, want := range all {
		if got := Russian.Sentence(english); got != want {
			t.Errorf("%q: got %q, want %q", english, got, want)
		}
	}
}

func TestAPatternTakesArgumentsOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		message, text string
		want          []string
	}{
		{"read %s: %v", "read link: open: no", []string{"link", "open: no"}},
		{"%s is %d of %d", "it is 4 of 5", []string{"it", "4", "5"}},
		{"%s is %d of %d", "it is four of 5", nil},
		{"after %s", "after ", nil},
		{"no place", "no place", nil},
	} {
		got, ok := newPattern(c.message).match(c.text)
		if ok != (c.want != nil) || !slices.Equal(got, c.want) {
			t.Errorf("%q of %q: got %q, %v; want %q", c.message, c.text, got, ok, c.want)
		}
	}
	if got := fill("%[2]s, then %[1]d and %s.", []string{"a", "b"}); got != "b, then a and b." {
		t.Errorf("got %q", got)
	}
}

// Whatever a sentence is, it comes back or becomes one of the catalogue, and nothing breaks.
func FuzzSentence(f *testing.F) {
	f.Add("front 2 of 3")
	f.Add("%[9]s %d %")
	f.Add(strings.Repeat("a; b: c, d", 400)) // would take an hour to take apart
	f.Fuzz(func(t *testing.T, text string) {
		for _, l := range All {
			if got := l.Sentence(text); text != "" && got == "" {
				t.Errorf("%q in %q is gone", text, l)
			}
		}
	})
}
