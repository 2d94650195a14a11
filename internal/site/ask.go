package site

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// judge is the status of a page by the conditions of a request: 200, 304 or 412. It weighs them as nginx
// does, which takes If-Modified-Since for a day that is the page's own or is none.
func judge(h http.Header, tag string, changed time.Time) int {
	if t, err := http.ParseTime(h.Get("If-Unmodified-Since")); err == nil && t.Before(changed) {
		return http.StatusPreconditionFailed
	}
	if tags := h.Get("If-Match"); tags != "" && !lists(tags, tag, false) {
		return http.StatusPreconditionFailed
	}
	since, tags := h.Get("If-Modified-Since"), h.Get("If-None-Match")
	switch {
	case since == "" && tags == "",
		since != "" && !isDay(since, changed),
		tags != "" && !lists(tags, tag, true):
		return http.StatusOK
	}
	return http.StatusNotModified
}

func isDay(text string, day time.Time) bool {
	t, err := http.ParseTime(text)
	return err == nil && t.Equal(day)
}

// lists reports whether tag is among tags; weak ones count with weak.
func lists(tags, tag string, weak bool) bool {
	if tags == "*" {
		return true
	}
	for one := range strings.SplitSeq(tags, ",") {
		one = strings.TrimSpace(one)
		if weak {
			one = strings.TrimPrefix(one, "W/")
		}
		if one == tag {
			return true
		}
	}
	return false
}

// span is the part of size bytes that a request asks for; asks is false if that is all of them. From is not
// below to where there is no such part. More parts than one are answered by all.
func span(h http.Header, tag string, changed time.Time, size int) (from, to int, asks bool) {
	text, ok := strings.CutPrefix(strings.ToLower(h.Get("Range")), "bytes=")
	if !ok || strings.Contains(text, ",") || !isMeant(h.Get("If-Range"), tag, changed) {
		return 0, 0, false
	}
	first, last, dashed := strings.Cut(strings.TrimSpace(text), "-")
	switch {
	case !dashed || first == "" && last == "" || !isNumber(first) || !isNumber(last):
		return 0, 0, true
	case first == "":
		return max(0, size-number(last)), size, true
	case last == "":
		return number(first), size, true
	}
	return number(first), min(size, number(last)+1), true
}

// isMeant reports whether a request with this If-Range means the page of today.
func isMeant(text, tag string, changed time.Time) bool {
	return text == "" || text == tag || isDay(text, changed)
}

func isNumber(text string) bool { return strings.Trim(text, "0123456789") == "" }

// number is a position in a file; what is larger than any is as large as there are.
func number(text string) int {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 1<<31 - 2
	}
	return int(n)
}
