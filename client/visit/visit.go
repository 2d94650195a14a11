// Package visit has a client ask for a website's page, and for what the page embeds, as a browser does: by the
// requests of a look, in a browser's order, with the site's cookies, and again by what it has kept. It asks one host,
// by the connection that it is handed, and follows nothing that leads elsewhere.
package visit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"culvert/client/look"
)

// Bounds of what one page may have a client ask for, and of what is kept of a site.
const (
	maxParts     = 16
	maxRedirects = 2
	maxTarget    = 1 << 10 // bytes of an address
	maxTag       = 256     // bytes of a validator
	maxPage      = 256 << 10
)

// Site is what a client keeps of one website, in memory alone: cookies, what its page embeds, and what it would have
// of it in a cache. Its zero value knows nothing. Several goroutines may use one.
type Site struct {
	mu    sync.Mutex // guards the following
	jar   jar
	kept  map[string]copied // by address
	parts []part            // of the page that came last
	icon  bool              // it was asked for: browsers do that once
}

// copied is what a cache knows of what it has.
type copied struct {
	tag, modified string
	fresh         time.Time // it is not asked for again until then
}

// part is something that a page embeds.
type part struct {
	kind   look.Part
	target string
}

// Cookies are what a browser would send to the site now, "name=value; name=value"; empty: none.
func (s *Site) Cookies(now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jar.text(now)
}

// Forget has the site be one that was never visited.
func (s *Site) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jar, s.kept, s.parts, s.icon = nil, nil, nil, false
}

// errElsewhere is for a page that is at another host.
var errElsewhere = errors.New("the page is elsewhere")

// Visit asks on conn, by which nothing was asked yet, for the page of host and for what it embeds. It closes conn in
// the end, and when ctx ends. What came before an error is kept.
func (s *Site) Visit(ctx context.Context, conn *look.Conn, host string) error {
	defer context.AfterFunc(ctx, func() { conn.NetConn().Close() })()
	defer conn.NetConn().Close()
	v := &visitor{Site: s, session: conn.Session(), host: host, page: &url.URL{Scheme: "https", Host: host, Path: "/"}}
	if err := v.document(); err != nil {
		return fmt.Errorf("ask for the page: %w", err)
	}
	if err := v.embedded(); err != nil {
		return fmt.Errorf("ask for what the page embeds: %w", err)
	}
	return nil
}

// visitor is one visit.
type visitor struct {
	*Site
	session *look.Session
	host    string
	page    *url.URL // where it is
}

// document asks for the page, wherever on the host it is.
func (v *visitor) document() error {
	for range maxRedirects + 1 {
		answers, err := v.session.Ask(v.ask(look.Document, targetOf(v.page)))
		if answers[0] == nil {
			return err
		}
		a := answers[0]
		to := a.Header.Get("Location")
		if a.StatusCode < 300 || a.StatusCode >= 400 || to == "" {
			v.read(a)
			return err
		}
		v.keep(targetOf(v.page), a)
		next := v.resolve(v.page, to)
		switch {
		case next == nil:
			return errElsewhere
		case err != nil || a.Close:
			return err
		}
		v.page = next
	}
	return errors.New("it leads on and on")
}

// read notes what the page embeds: one that has not changed embeds what it did.
func (v *visitor) read(a *http.Response) {
	v.keep(targetOf(v.page), a)
	if a.StatusCode == http.StatusNotModified {
		return
	}
	var found []part
	if kind, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) == "text/html" {
		text, _ := io.ReadAll(io.LimitReader(plain(a), maxPage)) // what was cut embeds what it shows
		found = v.embeds(string(text))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.parts = found
}

// embeds lists what a page has a browser ask for at its own host, in the order in which one asks: images wait for what
// the page needs to be shown, and by some looks scripts that wait for the page for them; of icons the last counts.
func (v *visitor) embeds(text string) []part {
	var first, images, later, icon []part
	base, seen := v.page, map[part]bool{}
	for _, e := range elements(text) {
		to := v.resolve(base, e.address)
		if to == nil {
			continue
		}
		p := part{e.kind, targetOf(to)}
		switch {
		case e.kind == baseElement:
			base = to
		case len(p.target) > maxTarget || seen[p] || len(first)+len(images)+len(later) == maxParts:
		case e.kind == look.Icon:
			icon = []part{p}
		case e.kind == look.Image:
			images = append(images, p)
		case e.kind == look.Later && v.session.LaterLast():
			later = append(later, p)
		default:
			first = append(first, p)
		}
		seen[p] = true
	}
	return slices.Concat(first, images, later, icon)
}

// resolve is an address of the host's own that a text names; nil: it is another's.
func (v *visitor) resolve(base *url.URL, text string) *url.URL {
	to, err := base.Parse(strings.TrimSpace(text))
	if err != nil || to.Scheme != "https" || to.User != nil || !isSame(to.Host, v.host) {
		return nil
	}
	to.Host, to.Fragment = v.host, ""
	return to
}

// targetOf is what a request for an address asks for. A query is any text, of which some bytes have to be escaped.
func targetOf(u *url.URL) string {
	path, query, asks := strings.Cut(u.RequestURI(), "?")
	if !asks {
		return path
	}
	b := []byte(path + "?")
	for _, c := range []byte(query) {
		if c <= ' ' || c > '~' || strings.IndexByte("\"<>", c) >= 0 {
			b = fmt.Appendf(b, "%%%02X", c)
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

// isSame reports whether two texts, host or host:port, are one host.
func isSame(a, b string) bool {
	whole := func(s string) string {
		if _, _, err := net.SplitHostPort(s); err != nil {
			s = net.JoinHostPort(strings.Trim(s, "[]"), "443")
		}
		return strings.ToLower(s)
	}
	return whole(a) == whole(b)
}

// embedded asks for what is not fresh of what the page embeds, and once for its icon.
func (v *visitor) embedded() error {
	var asks []look.Ask
	icon := "/favicon.ico"
	v.mu.Lock()
	parts, hasIcon := v.parts, v.icon
	v.icon = true
	v.mu.Unlock()
	for _, p := range parts {
		switch {
		case p.kind == look.Icon:
			icon = p.target
		case !v.isFresh(p.target):
			asks = append(asks, v.ask(p.kind, p.target))
		}
	}
	if err := v.fetch(asks); err != nil || hasIcon {
		return err
	}
	return v.fetch([]look.Ask{v.ask(look.Icon, icon)})
}

// fetch asks for some, and keeps what is to be known of them.
func (v *visitor) fetch(asks []look.Ask) error {
	if len(asks) == 0 {
		return nil
	}
	answers, err := v.session.Ask(asks...)
	for i, a := range answers {
		if a != nil {
			v.keep(asks[i].Target, a)
		}
	}
	return err
}

// ask is a request by what is kept.
func (v *visitor) ask(kind look.Part, target string) look.Ask {
	a := look.Ask{Part: kind, Host: v.host, Target: target, Cookies: v.Cookies(time.Now())}
	if kind != look.Document {
		a.Referer = "https://" + v.host + targetOf(v.page)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	a.Tag, a.Modified = v.kept[target].tag, v.kept[target].modified
	return a
}

func (v *visitor) isFresh(target string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return time.Now().Before(v.kept[target].fresh)
}

// keep notes what an answer says of itself, and its cookies.
func (v *visitor) keep(target string, a *http.Response) {
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.jar = v.jar.with(a.Cookies(), v.host, target, now)
	was, known := v.kept[target]
	switch {
	case a.StatusCode == http.StatusNotModified && known:
		was.fresh = freshUntil(a.Header, now)
		v.kept[target] = was
		return
	case a.StatusCode != http.StatusOK || isForbidden(a.Header):
		delete(v.kept, target)
		return
	}
	if v.kept == nil {
		v.kept = make(map[string]copied)
	}
	if len(v.kept) > 2*maxParts { // of pages that there were before
		clear(v.kept)
	}
	v.kept[target] = copied{short(a.Header.Get("Etag")), short(a.Header.Get("Last-Modified")), freshUntil(a.Header, now)}
}

// short is a validator that can be sent back; empty: it cannot.
func short(text string) string {
	if len(text) > maxTag || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return text
}
