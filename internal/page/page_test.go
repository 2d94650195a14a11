package page

import (
	"html"
	"strings"
	"testing"

	"culvert/internal/lang"
)

func invitation(l lang.Language) Invitation {
	return Invitation{Lang: l, Link: "culvert1qqqq<&>", Code: "CULVERT1QQQQ", Download: "https://get.example/?a&b"}
}

func TestAnInvitationHasAllInEachLanguage(t *testing.T) {
	t.Parallel()
	for _, l := range lang.All {
		for _, name := range []string{"a.html", "A.TXT"} {
			text := string(invitation(l).File(name))
			text = strings.NewReplacer(`<bdi dir="ltr">`, "", "</bdi>", "").Replace(text)
			flat := strings.Join(strings.Fields(html.UnescapeString(text)), "")
			has := func(s string) bool { return strings.Contains(flat, strings.Join(strings.Fields(s), "")) }
			wants := []string{"culvert1qqqq<&>", "https://get.example/?a&b", l.Text(invitationTitle), l.Text(LeavingHomeTodo), "culvert doctor", "./culvert doctor"}
			for _, d := range devices {
				wants = append(wants, d.name, l.Text(d.todo), d.commands)
				if l != lang.English && has(d.todo) {
					t.Errorf("%s in %s: English is left for %s", name, l, d.name)
				}
			}
			for _, want := range wants {
				if !has(want) {
					t.Errorf("%s in %s: no %q", name, l, want)
				}
			}
		}
	}
}

func TestAnInvitationWithoutADownloadSaysWhomToAsk(t *testing.T) {
	t.Parallel()
	i := invitation(lang.English)
	i.Download = ""
	if text := string(i.File("a.txt")); !strings.Contains(text, "from whoever sent you this") || strings.Contains(text, "https://") {
		t.Errorf("got %s", text)
	}
}

func TestAnInvitationsNameSaysItsKind(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{"a.html": true, "b/A.HTML": true, "a.txt": true, "a.pdf": false, "html": false, "": false, "a.html.exe": false} {
		if err := IsInvitation(name); (err == nil) != ok {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

func TestWhatIsTypedIsReadFromLeftToRight(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"با --lan اجرا":                       `با <bdi dir="ltr">--lan</bdi> اجرا`,
		"--link-file":                         `<bdi dir="ltr">--link-file</bdi>`,
		"a - b -- c":                          `a - b <bdi dir="ltr">--</bdi> c`,
		"(Settings, Storage and data, Proxy)": `(<bdi dir="ltr">Settings, Storage and data, Proxy</bdi>)`,
		"از F-Droid نصب":                      `از <bdi dir="ltr">F-Droid</bdi> نصب`,
		"ဤလင့်ခ်ကို":                          `ဤ<bdi dir="ltr">လင့်ခ်</bdi>ကို`,
		"":                                    "",
	} {
		if got := isolate(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// A phone's screen is narrow: amounts go below one another, and none from its unit.
func TestAnAmountStaysWithItsUnit(t *testing.T) {
	t.Parallel()
	d := New(lang.Russian)
	d.Table([]Row{{Name: "a", Value: "↑ 264 kB  ↓ 4.8 kB", Code: true}})
	if page := d.HTML("", 0); !strings.Contains(page, "<code>↑\u00a0264\u00a0kB ↓\u00a04.8\u00a0kB</code>") {
		t.Errorf("got %s", page)
	}
}

// Nothing that is put on a page can become a part of its code.
func TestTextIsEscaped(t *testing.T) {
	t.Parallel()
	d := New(lang.English)
	const evil = `"><script>alert(1)</script>&`
	d.Add("p", evil)
	d.Command(evil)
	d.Anchor(evil, evil)
	d.Table([]Row{{Name: evil, Value: evil}, {Name: "a", Value: evil, Code: true}})
	d.QR(evil)
	d.QR(strings.Repeat("x", 1<<13))
	if page := d.HTML(evil, 0); strings.Contains(page, "<script") || strings.Count(page, "<svg") != 1 {
		t.Errorf("got %s", page)
	}
}
