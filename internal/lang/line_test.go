package lang

import (
	"strings"
	"testing"
)

// In a line that is read from right to left, what is typed stands as it is typed.
func TestWhatIsTypedStandsFromLeftToRightInALine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"متصل":                   "\u2067متصل\u2069",
		"با --lan اجرا":          "\u2067با \u2066--lan\u2069 اجرا\u2069",
		"culvert doctor همین":    "\u2067culvert doctor همین\u2069", // words stay in order
		"تا 2026-11-28.":         "\u2067تا \u20662026-11-28\u2069.\u2069",
		"ورودی 2 از 3":           "\u2067ورودی 2 از 3\u2069",
		"(chat port) 5222، رفت":  "\u2067(chat port) 5222، رفت\u2069",
		"خواندن: open /x: نیست":  "\u2067خواندن: \u2066open /x\u2069: نیست\u2069",
		"شمارهٔ 1 از 2: pin: -1": "\u2067شمارهٔ 1 از 2: pin: \u2066-1\u2069\u2069",
		"نشانی :80":              "\u2067نشانی \u2066:80\u2069\u2069",
		"https://wa.me/proxy":    "https://wa.me/proxy", // nothing to keep apart from
		"":                       "",
	} {
		if got := Persian.Line(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := Russian.Line("с --lan"); got != "с --lan" {
		t.Errorf("got %q, want a line of Russian as it is", got)
	}
}

// An error that was put together is told part by part, and what nobody knows stays as it is.
func TestASentenceOfPartsIsToldPartByPart(t *testing.T) {
	t.Parallel()
	wantRussian(t, map[string]string{
		"front 1: no answer in time; try another front or network":                                       "вход 1: нет ответа вовремя; попробуйте другой вход или другую сеть",
		"read link: open /x/y: no such file or directory":                                                "чтение ссылки: open /x/y: нет такого файла или каталога",
		"front 1: given up; front 2: no answer in time":                                                  "вход 1: прервано; вход 2: нет ответа вовремя",
		"listen: the port is taken, choose another; --chat chooses another address, port 0 any free one": "listen: порт занят, выберите другой; --chat выбирает другой адрес, порт 0 — любой свободный",
		"read link: x: too large: not the file that was meant":                                           "чтение ссылки: x: слишком большой: это не тот файл",
		"--max-guests -1: no number of connections: give one of 1 or more, or leave it out for 1024":     "--max-guests -1: это не число соединений: укажите 1 или больше либо опустите, тогда будет 1024",
		"dial tcp: salt and pepper, one after another":                                                   "dial tcp: salt and pepper, one after another",
	})
	if got := Chinese.Sentence("no answer in time; try another front or network"); got != "没有及时应答；换一个入口或网络" {
		t.Errorf("got %q, want Chinese marks between the parts", got)
	}
}

// Whatever a line is, nothing of it is lost, and each mark has its end.
func FuzzLine(f *testing.F) {
	f.Add("با --lan اجرا: (x) ،")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, fromRight+fromLeft+atEnd) {
			return
		}
		got := Arabic.Line(text)
		if plain := strings.NewReplacer(fromRight, "", fromLeft, "", atEnd, "").Replace(got); plain != text {
			t.Errorf("got %q of %q", plain, text)
		}
		if begins, ends := strings.Count(got, fromRight)+strings.Count(got, fromLeft), strings.Count(got, atEnd); begins != ends {
			t.Errorf("got %d marks and %d ends in %q", begins, ends, got)
		}
	})
}
