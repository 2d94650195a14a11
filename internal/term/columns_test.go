package term

import (
	"slices"
	"strings"
	"testing"

	"culvert/internal/lang"
)

func TestColumnsAreWhatATerminalNeeds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"": 0, "✓ Chat": 6, "已连接": 6, "متصل": 4, "ချိတ်": 3, "a\u0301": 1, "→ 入口 1。": 10, "\u200fx": 1,
	} {
		if got := Columns(text); got != want {
			t.Errorf("%q: got %d columns, want %d", text, got, want)
		}
	}
}

func TestLinesEndBetweenWordsOrWideLetters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", []string{""}},
		{"one two three", []string{"one two", "three"}},
		{"abcdefghijklm no", []string{"abcdefghijklm", "no"}},
		{"目前只有本设备", []string{"目前只有", "本设备"}},
		{"目前只，有", []string{"目前只，", "有"}},
		{"目前只有，本", []string{"目前只", "有，本"}},
		{"用 --lan 启动它", []string{"用 --lan", "启动它"}},
		{"not\xe2\x80, yes", []string{"not\uFFFD,", "yes"}},
	} {
		if got := Wrap(c.text, 8); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

// In a text from right to left, halves of a path of menus would change places.
func TestWhatsAppsMenusStandInOneLine(t *testing.T) {
	t.Parallel()
	for _, l := range lang.All {
		var b strings.Builder
		NewConsole(&b).In(l).Say("In WhatsApp, under Settings, Storage and data, Proxy, enter")
		if !strings.Contains(b.String(), lang.Menus) {
			t.Errorf("%s: got %q, want %q in one line", l, b.String(), lang.Menus)
		}
	}
	if got, want := wrapText("enter it under "+lang.Menus, 20), []string{"enter it under", lang.Menus}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzWrap(f *testing.F) {
	f.Add("目前只有本设备 a b", 3)
	f.Add("\x80\x80\x80\x80\x80\xe2\xe2\xe2\u2000", 7) // pieces of a letter
	f.Fuzz(func(t *testing.T, text string, columns int) {
		columns = max(1, columns%100)
		lines := Wrap(text, columns)
		want := strings.Join(strings.Fields(strings.ToValidUTF8(text, "\uFFFD")), "")
		if got := strings.Join(strings.Fields(strings.Join(lines, "")), ""); got != want {
			t.Errorf("got %q, want all of %q", got, want)
		}
	})
}
