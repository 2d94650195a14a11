package site

import (
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// eachSite runs a test over each kind of site, with a seed of its own.
func eachSite(t *testing.T, test func(t *testing.T, c Choice, s *Site)) {
	for _, name := range Kinds() {
		for _, seed := range []uint32{0, rand.Uint32N(Seeds)} {
			c := Choice{Kind: name, Seed: seed}
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				test(t, c, c.Site())
			})
		}
	}
}

func TestEverySiteIsWhole(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`href="([^"]+)"`)
	foreign := regexp.MustCompile(`(?i)https?:|href="//|src=|<script|javascript|{{`)
	eachSite(t, func(t *testing.T, _ Choice, s *Site) {
		for _, needed := range []string{"/index.html", missing, "/favicon.ico", "/robots.txt"} {
			if len(s.files[needed].body) == 0 {
				t.Errorf("got no %s", needed)
			}
		}
		pages := 0
		for at, f := range s.files {
			if bad := foreign.Find(f.body); bad != nil {
				t.Errorf("%s: got %q, want only what is here, and filled in", at, bad)
			}
			if len(f.body) > 8<<10 || f.kind == typeOf("") || !strings.HasPrefix(f.kind, "image/") && !utf8.Valid(f.body) {
				t.Errorf("%s: got %d bytes of %s, want a few kB of text or an icon", at, len(f.body), f.kind)
			}
			for _, m := range link.FindAllSubmatch(f.body, -1) {
				if _, ok := s.files[address(string(m[1]))]; !ok {
					t.Errorf("%s links to %s, which is not there", at, m[1])
				}
			}
			if strings.HasSuffix(at, ".html") {
				pages++
				wantWellFormed(t, at, string(f.body))
			}
		}
		if pages < 4 {
			t.Errorf("got %d pages, want some", pages)
		}
	})
}

// void are the elements that have no end.
var void = map[string]bool{"meta": true, "link": true, "br": true, "hr": true, "img": true}

// wantWellFormed wants a page whose elements all end, in order, and that says its language and its name.
func wantWellFormed(t *testing.T, at, page string) {
	t.Helper()
	var open []string
	said := map[string]bool{}
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			if z.Err() != io.EOF || len(open) > 0 {
				t.Errorf("%s: got %v with %v open", at, z.Err(), open)
			}
			if !said["title"] || !said["lang"] || !said["charset"] || !strings.HasPrefix(strings.ToLower(page), "<!doctype html>\n") {
				t.Errorf("%s: got %v said, want a title, a language and a charset", at, said)
			}
			return
		case html.StartTagToken:
			token := z.Token()
			said[token.Data] = true
			for _, a := range token.Attr {
				said[a.Key] = true
			}
			if !void[token.Data] {
				open = append(open, token.Data)
			}
		case html.EndTagToken:
			name := z.Token().Data
			if len(open) == 0 || open[len(open)-1] != name {
				t.Fatalf("%s: got </%s> where %v is open", at, name, open)
			}
			open = open[:len(open)-1]
		}
	}
}

// An edge knows the origin's site by its first page.
func TestASiteIsRecognizedByItsFirstPage(t *testing.T) {
	t.Parallel()
	eachSite(t, func(t *testing.T, c Choice, s *Site) {
		w := get(s, "/")
		if got, ok := Recognize(w.Header().Get("Last-Modified"), w.Body.Bytes()); !ok || got != c {
			t.Errorf("got %v and %v, want %v", got, ok, c)
		}
	})
	page := get(First(), "/").Body.Bytes()
	for _, modified := range []string{"", "today", "Sun, 12 Oct 2024 16:20:07 GMT", "Sun, 12 Oct 2225 16:20:07 GMT"} {
		if c, ok := Recognize(modified, page); ok {
			t.Errorf("%q: got %v, want none", modified, c)
		}
	}
}

func TestASeedChoosesTheKindAndTheLooks(t *testing.T) {
	t.Parallel()
	seen, pages := map[string]bool{}, map[string]bool{}
	for seed := range uint32(64) {
		c := Choice{Seed: seed * 40009 % Seeds}
		seen[c.kind().name] = true
		pages[string(c.Site().files["/index.html"].body)] = true
		if again, err := ParseChoice(c.String()); err != nil || again != (Choice{Kind: c.kind().name, Seed: c.Seed}) {
			t.Fatalf("%s: got %v and %v, want the same", c, again, err)
		}
	}
	if len(seen) != len(kinds) || len(pages) < 3*len(kinds) {
		t.Errorf("got %d kinds and %d first pages of 64 seeds, want all, and many", len(seen), len(pages))
	}
}

func TestChoicesAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Choice{
		"soups":                            {"soups", 0, ""},
		"panaderia:1a2b3c":                 {"panaderia", 0x1a2b3c, ""},
		"foto:0?name=%D0%AF":               {"foto", 0, "Я"},
		"walkers?name=Fish+%26+Chips+Club": {"walkers", 0, "Fish & Chips Club"},
	} {
		if got, err := ParseChoice(text); err != nil || got != want {
			t.Errorf("%s: got %+v and %v, want %+v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "shop", "soups:", "soups:1000000", "soups:x", "soups?name=", "soups?colour=red", "soups?name=a&b=c",
		"soups?name=" + strings.Repeat("a", maxName+1), "Soups", "../soups", "soups?name=%zz"} {
		if got, err := ParseChoice(bad); err == nil {
			t.Errorf("%q: got %+v, want an error", bad, got)
		}
	}
	page := string(Choice{Kind: "walkers", Name: `<b>"&`}.Site().files["/index.html"].body)
	if !strings.Contains(page, "&lt;b&gt;&quot;&amp;") {
		t.Errorf("got %q, want the name as text", page)
	}
}
