package visit

import (
	"net"
	"net/http"
	"path"
	"strings"
	"time"
)

// Bounds of the cookies that are kept of a site.
const (
	maxCookies   = 8
	maxCookieLen = 1 << 10 // of all together
)

// jar is a site's cookies, the oldest first.
type jar []cookie

type cookie struct {
	name, value string
	until       time.Time // zero: for as long as the client runs
}

// with is j after an answer to a request for target. Cookies for parts of a site alone are not kept.
func (j jar) with(set []*http.Cookie, host, target string, now time.Time) jar {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	for _, c := range set {
		if isFor(c, name, target) {
			j = j.put(cookie{c.Name, c.Value, untilOf(c, now)}, now)
		}
	}
	for j.len() > maxCookieLen {
		j = j[1:]
	}
	return j
}

// put is j with one cookie more, or another in its place, or none if it is over.
func (j jar) put(c cookie, now time.Time) (all jar) {
	isOver := !c.until.IsZero() && !now.Before(c.until)
	for _, o := range j {
		switch {
		case o.name != c.name:
			all = append(all, o)
		case !isOver:
			all = append(all, c)
			isOver = true // it has its place
		}
	}
	if !isOver && len(all) < maxCookies {
		all = append(all, c)
	}
	return all
}

// isFor reports whether a cookie that came with target is one of the whole site at the host of a name.
func isFor(c *http.Cookie, name, target string) bool {
	domain := strings.TrimPrefix(strings.ToLower(c.Domain), ".")
	if domain != "" && domain != name && !strings.HasSuffix(name, "."+domain) {
		return false
	}
	where, _, _ := strings.Cut(target, "?")
	return c.Path == "/" || !strings.HasPrefix(c.Path, "/") && path.Dir(where) == "/"
}

func untilOf(c *http.Cookie, now time.Time) time.Time {
	switch {
	case c.MaxAge < 0:
		return now
	case c.MaxAge > 0:
		return now.Add(time.Duration(min(c.MaxAge, int(mostFresh/time.Second))) * time.Second)
	}
	return c.Expires
}

func (j jar) len() (n int) {
	for _, c := range j {
		n += len(c.name) + len(c.value) + len("=; ")
	}
	return n
}

func (j jar) text(now time.Time) string {
	var all []string
	for _, c := range j {
		if c.until.IsZero() || now.Before(c.until) {
			all = append(all, c.name+"="+c.value)
		}
	}
	return strings.Join(all, "; ")
}
