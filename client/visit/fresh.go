package visit

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// mostFresh bounds for how long an answer is taken for fresh, whatever it says.
const mostFresh = 30 * 24 * time.Hour

// freshUntil is until when a cache shows an answer without asking (RFC 9111, section 4.2): as the answer says, or else
// for a tenth of the time for which it had not changed.
func freshUntil(h http.Header, now time.Time) time.Time {
	age, said := maxAge(h)
	if until, err := http.ParseTime(h.Get("Expires")); !said && err == nil {
		age, said = until.Sub(dateOf(h, now)), true
	}
	if changed, err := http.ParseTime(h.Get("Last-Modified")); !said && err == nil {
		age = dateOf(h, now).Sub(changed) / 10
	}
	return now.Add(min(max(age, 0), mostFresh))
}

func dateOf(h http.Header, now time.Time) time.Time {
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		return t
	}
	return now
}

// directives are those of Cache-Control, in small letters.
func directives(h http.Header) (all []string) {
	for one := range strings.SplitSeq(strings.ToLower(strings.Join(h.Values("Cache-Control"), ",")), ",") {
		all = append(all, strings.TrimSpace(one))
	}
	return all
}

// maxAge is what Cache-Control says.
func maxAge(h http.Header) (age time.Duration, said bool) {
	for _, d := range directives(h) {
		if d == "no-cache" {
			return 0, true
		}
		if text, ok := strings.CutPrefix(d, "max-age="); ok {
			n, err := strconv.ParseUint(strings.Trim(text, `"`), 10, 31)
			return time.Duration(n) * time.Second, err == nil
		}
	}
	return 0, false
}

// isForbidden reports whether nothing of an answer may be kept.
func isForbidden(h http.Header) bool {
	for _, d := range directives(h) {
		if d == "no-store" {
			return true
		}
	}
	return false
}
