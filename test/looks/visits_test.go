package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/client/front"
	"culvert/client/look"
	"culvert/client/visit"
)

// clientAsks has a client with a look visit a site, as often as it is called for one of what it keeps.
func clientAsks(t *testing.T, name string, s *site, kept *visit.Site) {
	t.Helper()
	f := linkTo(t, s).Fronts[0]
	conn, err := front.OpenPage(t.Context(), &front.Dialer{Look: name, Roots: s.roots(t)}, f, func(c net.Conn) net.Conn { return c })
	must(t, err)
	must(t, kept.Visit(t.Context(), conn, f.Host))
}

// taken are the questions that a site was asked so far.
func (s *site) taken() (all []question) {
	for {
		select {
		case q := <-s.questions:
			all = append(all, q)
		default:
			return all
		}
	}
}

// Visits beside the browsers themselves: each request is the browser's, byte for byte but for what its machine is called,
// and by HTTP/2 they come in the browser's order and with its priorities.
func TestAVisitIsTheBrowsers(t *testing.T) {
	if os.Getenv("CULVERT_REAL") == "" {
		t.Skip("CULVERT_REAL is not set: it takes browsers")
	}
	t.Parallel()
	for _, b := range browsers {
		for _, protocol := range []string{"h2", "http/1.1"} {
			t.Run(b.name+" by "+protocol, func(t *testing.T) {
				t.Parallel()
				s, err := newSite(0, protocol)
				must(t, err)
				t.Cleanup(s.close)
				s.questions = make(chan question, 100)
				theirs, err := b.questionsAt(t.Context(), s)
				must(t, err)
				kept := &visit.Site{}
				clientAsks(t, b.name, s, kept)
				first := s.taken()
				clientAsks(t, b.name, s, kept)
				compareVisits(t, theirs, first, s.taken(), protocol == "h2")
			})
		}
	}
}

// compareVisits wants our first visit to be their first, and the parts of our second their last, in which they had been
// kept: Firefox asks for a style sheet several times.
func compareVisits(t *testing.T, theirs, first, second []question, isH2 bool) {
	t.Helper()
	var order []string
	for _, q := range theirs {
		if !slices.Contains(order, q.target) {
			order = append(order, q.target)
		}
	}
	var ours []string
	for _, q := range first {
		ours = append(ours, q.target)
		want := asked(theirs, q.target)[0]
		compareQuestions(t, &q, &want)
		if q.priority.StreamDep != want.priority.StreamDep && want.priority.StreamDep == 0 { // that was answered before it asked
			q.priority.StreamDep = 0
		}
		if q.priority != want.priority {
			t.Errorf("%s: got priority %v, want %v", q.target, q.priority, want.priority)
		}
	}
	if isH2 && !slices.Equal(ours, order) || len(ours) != len(order) {
		t.Errorf("got %v, want %v", ours, order)
	}
	if len(second) != len(order)-1 {
		t.Errorf("the second visit asks %d times, want all but the icon", len(second))
	}
	for _, q := range second[1:] {
		some := asked(theirs, q.target)
		compareQuestions(t, &q, &some[len(some)-1])
	}
}

func compareQuestions(t *testing.T, got, want *question) {
	t.Helper()
	text := func(q *question) string {
		var b strings.Builder
		for _, h := range q.lines {
			fmt.Fprintf(&b, "%s: %s\n", h.name, usual(h.value))
		}
		if want.target == "/image.png" { // Firefox says "i" of an image that it does not have yet
			return strings.Replace(b.String(), "u=5, i\n", "u=5\n", 1)
		}
		return b.String()
	}
	if g, w := text(got), text(want); g != w {
		t.Errorf("got\n%swant\n%s", g, w)
	}
}

// nginxConf has a website with HTTP/2 and packed pages, and writes down what matters of each request.
const nginxConf = `user root; daemon off; pid %[1]s/pid; error_log stderr error;
events {}
http {
	types { text/html html; text/css css; application/javascript js; image/x-icon ico; image/png png; }
	log_format visit '$server_protocol $request_method $request_uri "$http_accept" "$http_referer" "$http_cookie" "$http_if_none_match" "$http_if_modified_since" "$http_sec_fetch_dest" "$http_sec_fetch_site" "$http_priority" $status';
	access_log %[1]s/log visit;
	gzip on; gzip_types text/css application/javascript; gzip_min_length 1;
	server {
		listen 127.0.0.1:%[2]d ssl http2;
		ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem;
		root %[1]s/site; charset utf-8;
		add_header Set-Cookie "visitor=v; Secure; HttpOnly; Path=/";
	}
}`

// An nginx that we did not write logs the same of both, though it never saw the page that the looks are taken from.
func TestNginxLogsTheSameOfAVisitAsOfTheBrowsers(t *testing.T) {
	if os.Getenv("CULVERT_REAL") == "" {
		t.Skip("CULVERT_REAL is not set: it takes browsers and nginx")
	}
	t.Parallel()
	s, log := newNginx(t)
	for _, b := range browsers[:1] { // Firefox asks for a style sheet twice
		must(t, b.visit(t.Context(), s, 0, func(ctx context.Context) error { return quiet(ctx, log, 5) }))
		theirs := lines(t, log)
		must(t, os.Truncate(log, 0))
		clientAsks(t, b.name, s, &visit.Site{})
		ours := lines(t, log)
		must(t, os.Truncate(log, 0))
		if !slices.Equal(ours, theirs) || len(ours) < 4 {
			t.Errorf("%s: got\n%s\nwant\n%s", b.name, strings.Join(ours, "\n"), strings.Join(theirs, "\n"))
		}
		t.Logf("%s: %d lines alike", b.name, len(ours))
	}
	for _, name := range look.Names() {
		kept := &visit.Site{}
		clientAsks(t, name, s, kept)
		must(t, quiet(t.Context(), log, 4)) // nginx notes an answer when it has been sent
		must(t, os.Truncate(log, 0))
		clientAsks(t, name, s, kept)
		if again := lines(t, log); len(again) != 1 || !strings.HasSuffix(again[0], " 304") { // what it embeds is fresh for a tenth of its age
			t.Errorf("%s: got %v, want the page asked for by what was kept, and nothing else", name, again)
		}
		must(t, os.Truncate(log, 0))
	}
}

// newNginx starts one, and says where it logs.
func newNginx(t *testing.T) (s *site, log string) {
	t.Helper()
	s, err := newSite(0) // for its certificate and its port
	must(t, err)
	s.close()
	key, err := x509.MarshalPKCS8PrivateKey(s.cert.PrivateKey)
	must(t, err)
	page := `<!doctype html><html><head><title>Soups</title><link rel="stylesheet" href="main.css"><script src="menu.js" defer></script>
<link rel="icon" type="image/png" href="soup.png?v=2&amp;w=1"></head><body><p>Soup.</p><img src="soup.png" alt=""></body></html>`
	dir := startNginx(t, s.port(), fmt.Sprintf(nginxConf, "%[1]s", s.port()), map[string][]byte{
		"site/index.html": []byte(page), "site/main.css": []byte("p { color: #333 }\n"), "site/menu.js": []byte("void 0\n"), "site/soup.png": pixel,
		"cert.pem": certPEM(s.cert.Certificate[0]), "key.pem": keyPEM(key),
	})
	return s, filepath.Join(dir, "log")
}

// quiet waits until a log has so many lines, and then for a second.
func quiet(ctx context.Context, log string, count int) error {
	for ctx.Err() == nil {
		text, _ := os.ReadFile(log)
		if strings.Count(string(text), "\n") >= count {
			time.Sleep(time.Second)
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return ctx.Err()
}

// lines are those of a log, which is written once a request is over.
func lines(t *testing.T, log string) (all []string) {
	t.Helper()
	time.Sleep(200 * time.Millisecond)
	text, err := os.ReadFile(log)
	must(t, err)
	for line := range strings.Lines(string(text)) {
		all = append(all, strings.TrimSpace(line))
	}
	return all
}
