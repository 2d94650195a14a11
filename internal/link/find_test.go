package link

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

// handedOn is what people, messengers and mail programs have made of a link.
func handedOn(link string) map[string]string {
	body, upper := link[len(Scheme):], strings.ToUpper(link)
	wide := strings.Map(func(c rune) rune { return c - '!' + '\uff01' }, link)
	persian := strings.Map(func(c rune) rune {
		if '0' <= c && c <= '9' {
			return c - '0' + '\u06f0'
		}
		return c
	}, link)
	return map[string]string{
		"as it was written":       link,
		"space around it":         " \t\r\n" + link + "\u00a0\n",
		"as in its QR code":       upper,
		"words before it":         "Your link is " + link,
		"words before, a line":    "Your Culvert: link\n\n" + link,
		"words behind it":         link + "\nSent from my phone",
		"a full stop":             link + ".",
		"a full stop of China":    link + "。",
		"quotes":                  `"` + link + `"`,
		"quotes of printers":      "“" + link + "”, «" + link + "»",
		"brackets":                "(<" + link + ">)",
		"Markdown":                "[" + link + "](" + link + ")",
		"bold":                    "*" + link + "*",
		"code":                    "```\n" + link + "\n```",
		"an address":              "culvert://" + body,
		"an address, coded":       "culvert%3A" + body,
		"coded twice":             "culvert%253a" + body,
		"in another address":      "https://web.example/send?text=" + url.QueryEscape("Culvert: "+link) + "&x=1",
		"marks of direction":      "\u202b\u200f" + link + "\u200e\u202c",
		"isolated marks":          "\u2067" + link[:3] + "\u200f" + link[3:70] + "\u2068" + link[70:] + "\u2069",
		"invisible space":         link[:20] + "\u200b" + link[20:90] + "\u2060\ufeff" + link[90:],
		"soft hyphens":            link[:50] + "\u00ad" + link[50:],
		"a joiner":                link[:50] + "\u200d" + link[50:] + "\ufe0f",
		"broken into lines":       link[:40] + "\r\n  " + link[40:80] + "\n" + link[80:],
		"quoted by mail":          "> " + link[:40] + "\n> > " + link[40:80] + "\n> " + link[80:],
		"quoted-printable":        link[:70] + "=\r\n" + link[70:],
		"a byte order mark":       "\ufeff" + link,
		"UTF-16 read as bytes":    strings.Join(strings.Split(link, ""), "\x00") + "\x00",
		"fullwidth":               wide,
		"a fullwidth colon":       "culvert：" + body,
		"digits of Persian":       persian,
		"no scheme":               body,
		"a link that was cut off": link[:60] + "\n\nand whole: " + link,
	}
}

func TestALinkIsFoundInWhatWasHandedOn(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		for name, text := range handedOn(v.Link) {
			if l, err := Find(text); err != nil || l.String() != v.Link {
				t.Errorf("%s: got %v, want the link", name, err)
			}
		}
	}
}

func TestWhatHoldsNoWholeLinkIsRefused(t *testing.T) {
	t.Parallel()
	link := vectors(t)[0].Link
	changed := link[:60] + string('a'+(link[60]-'a'+1)%26) + link[61:]
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":                {"", ErrNone},
		"another link":           {"https://example.com/culvert", ErrNone},
		"the scheme alone":       {"Culvert:", ErrCut},
		"half a link":            {"Your link: " + link[:70], ErrCut},
		"one letter changed":     {changed, errChanged},
		"one letter left out":    {link[:60] + link[61:] + ".", errChar},
		"an ellipsis in it":      {link[:60] + "…" + link[66:], errChar},
		"a sign no link has":     {link[:60] + "8" + link[61:], errChar},
		"longer than any letter": {strings.Repeat(" ", maxLetter) + link, errLetter},
	} {
		if _, err := Find(c.text); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// What is found is what was written, whatever surrounds it.
func FuzzFind(f *testing.F) {
	link := vectors(f)[0].Link
	for _, text := range handedOn(link) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if l, err := Find(text); err == nil && l.Validate() != nil {
			t.Errorf("got a link that is none: %v", l.Validate())
		}
	})
}
