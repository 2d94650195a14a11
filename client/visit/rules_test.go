package visit

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestElementsAreFoundAsABrowsersScannerFindsThem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                                                     "",
		`no tags < at all`:                                     "",
		`<img src=a.png>`:                                      "image a.png",
		`<IMG SRC = "a.png" / >`:                               "image a.png",
		`<img alt=">" src='a>b'>`:                              "image a>b",
		`<img src="a" src="b">`:                                "image a",
		`<img srcset="b" src="a">`:                             "",
		`<img loading=lazy src=a>`:                             "",
		`<img src>`:                                            "",
		`<img src="a`:                                          "image a",
		`<!-- <img src=a> --><img src=b>`:                      "image b",
		`<!-- <img src=a>`:                                     "",
		`<script><img src=a></script><img src=b>`:              "image b",
		`<script src=a></SCRIPT ><img src=b>`:                  "script a image b",
		`<script src=a>`:                                       "script a",
		`<script type=module src=a></script>`:                  "",
		`<script type="text/javascript" src=a></script>`:       "script a",
		`<script crossorigin src=a></script>`:                  "",
		`<script defer src=a></script><script async src=b>`:    "later a later b",
		`<template><img src=a></template>`:                     "",
		`<link rel="StyleSheet preload" href=a>`:               "style a",
		`<link rel="alternate stylesheet" href=a>`:             "",
		`<link rel=stylesheet media=print href=a>`:             "",
		`<link rel=stylesheet media=all href=a>`:               "style a",
		`<link rel="shortcut icon" href=a>`:                    "icon a",
		`<link rel=apple-touch-icon href=a>`:                   "",
		`<base href="/b/"><img src=a>`:                         "base /b/ image a",
		`</img src=a>`:                                         "",
		`<a href=a><video src=b><iframe src=c><object data=d>`: "",
		`<imgs src=a>`:                                         "",
		`<img/src=a>`:                                          "image a",
		`<img ` + strings.Repeat("x=y ", 100) + `src=a>`:       "",
	} {
		var all []string
		for _, e := range elements(text) {
			all = append(all, fmt.Sprintf("%s %s", e.kind, e.address))
		}
		if got := strings.Join(all, " "); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// Whatever a page has, reading it ends, and needs no longer than the page is.
func FuzzElements(f *testing.F) {
	f.Add(page)
	f.Add(`<base href=//x><script src=a`)
	f.Fuzz(func(t *testing.T, text string) {
		if n := len(elements(text)); n > len(text) {
			t.Errorf("got %d elements of %d bytes", n, len(text))
		}
	})
}

func TestAnAnswerIsFreshForAsLongAsItSays(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	day := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for name, c := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"nothing":           {http.Header{}, 0},
		"no-cache":          {http.Header{"Cache-Control": {"no-cache, max-age=60"}}, 0},
		"max-age":           {http.Header{"Cache-Control": {"public", "Max-Age=60"}}, time.Minute},
		"max-age, then":     {http.Header{"Cache-Control": {"max-age=60"}, "Expires": {day(time.Hour)}}, time.Minute},
		"no number":         {http.Header{"Cache-Control": {"max-age=soon"}}, 0},
		"for ever":          {http.Header{"Cache-Control": {"max-age=2147483647"}}, mostFresh},
		"expires":           {http.Header{"Expires": {day(time.Hour)}, "Date": {day(0)}}, time.Hour},
		"has expired":       {http.Header{"Expires": {day(-time.Hour)}}, 0},
		"another clock":     {http.Header{"Expires": {day(25 * time.Hour)}, "Date": {day(24 * time.Hour)}}, time.Hour},
		"changed a day ago": {http.Header{"Last-Modified": {day(-20 * time.Hour)}}, 2 * time.Hour},
		"changes tomorrow":  {http.Header{"Last-Modified": {day(20 * time.Hour)}}, 0},
	} {
		if got := freshUntil(c.header, now).Sub(now); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestCookiesOfTheWholeSiteAreKept(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for set, want := range map[string]string{
		"a=1":                           "a=1",
		"a=1; Path=/":                   "a=1",
		"a=1; Path=/part":               "",
		"a=1; Domain=front.example":     "a=1",
		"a=1; Domain=.example":          "a=1",
		"a=1; Domain=elsewhere.example": "",
		"a=1; Domain=ront.example":      "",
		"a=1; Max-Age=0":                "",
		"a=1; Max-Age=60":               "a=1",
		"a=1; Expires=Thu, 01 Jan 2015 00:00:00 GMT": "",
		"bad name=1": "",
	} {
		r := &http.Response{Header: http.Header{"Set-Cookie": {set}}}
		if got := (jar(nil)).with(r.Cookies(), host+":8443", "/style.css", now).text(now); got != want {
			t.Errorf("%s: got %q, want %q", set, got, want)
		}
	}
	j := (jar(nil)).with([]*http.Cookie{{Name: "a", Value: "1", Path: "/"}, {Name: "b", Value: "2", Path: "/", MaxAge: 60}}, host, "/", now)
	j = j.with([]*http.Cookie{{Name: "a", Value: "3", Path: "/"}}, host, "/", now)
	if got := j.text(now); got != "a=3; b=2" {
		t.Errorf("got %q, want another value in the old place", got)
	}
	if got := j.text(now.Add(time.Hour)); got != "a=3" {
		t.Errorf("got %q, want what is not over", got)
	}
	if got := j.with([]*http.Cookie{{Name: "a", Path: "/", MaxAge: -1}}, host, "/", now).text(now); got != "b=2" {
		t.Errorf("got %q, want one that was taken back gone", got)
	}
	if got := (jar(nil)).with([]*http.Cookie{{Name: "a", Value: "1"}}, host, "/part/x.css", now).text(now); got != "" {
		t.Errorf("got %q, want none of a part", got)
	}
}
