package site

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSettingsAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"soups": "", "panaderia:1?name=x": "", "/srv/www": "", "https://example.org": "", "http://example.org:8080/a": "",
		"example.org": "is no absolute path and no URL, and names no website that is here: there are soups, ",
		"https://":    "is not the URL of a website", "https://a:b@example.org": "is not the URL", "https://example.org?x": "is not the URL",
		"www": "is no absolute path", "soups:z": "has a seed",
	} {
		var s Setting
		err := s.UnmarshalText([]byte(text))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
		if s.IsSet() != (err == nil) {
			t.Errorf("%s: got set %v", text, s.IsSet())
		}
	}
}

// folder makes one with files of a day.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		day := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
		os.Chtimes(at, day, day)
	}
	return root
}

func get(h http.Handler, at string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, at, nil))
	return w
}

func TestAFolderIsShown(t *testing.T) {
	t.Parallel()
	root := folder(t, map[string]string{"index.html": "first", "a/index.html": "second", "a/b.png": "third", ".git/config": "hidden", "x.unknown": "fourth"})
	s, err := Folder(root + "/")
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]string{"/": "first text/html; charset=utf-8", "/a/": "second text/html; charset=utf-8", "/a/b.png": "third image/png",
		"/x.unknown": "fourth application/octet-stream"} {
		w := get(s, at)
		if got := w.Body.String() + " " + w.Header().Get("Content-Type"); got != want || w.Header().Get("Last-Modified") != "Fri, 02 Jan 2026 03:04:05 GMT" {
			t.Errorf("%s: got %q of %s, want %q", at, got, w.Header().Get("Last-Modified"), want)
		}
	}
	for _, at := range []string{"/.git/config", "/nope", "/../" + filepath.Base(root) + "/index.html"} {
		if w := get(s, at); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "<center>nginx</center>") {
			t.Errorf("%s: got %d and %q, want nginx's own page", at, w.Code, w.Body)
		}
	}
}

func TestAFolderThatCannotBeAWebsiteIsRefused(t *testing.T) {
	t.Parallel()
	many := map[string]string{"index.html": "x"}
	for i := range maxFiles + 1 {
		many[filepath.Join("d", time.Duration(i).String())] = ""
	}
	dangling := folder(t, map[string]string{"index.html": "x"})
	os.Symlink("/none", filepath.Join(dangling, "link"))
	for name, c := range map[string]struct{ root, want string }{
		"none":          {"/none/such", "no such file"},
		"no first page": {folder(t, map[string]string{"a.html": "x"}), "index.html"},
		"too many":      {folder(t, many), "more than"},
		"dangling":      {dangling, "no such file"},
	} {
		if _, err := Folder(c.root); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestAnotherWebsiteIsShownAndHearsNothingOfVisitors(t *testing.T) {
	t.Parallel()
	var heard http.Header
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard = r.Header.Clone()
		heard.Set("Host", r.Host)
		w.Header().Set("Server", "Apache")
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Location", "http://"+r.Host+"/base/there")
		io.WriteString(w, r.URL.Path)
	}))
	defer other.Close()
	var s Setting
	if err := s.UnmarshalText([]byte(other.URL + "/base")); err != nil {
		t.Fatal(err)
	}
	h, err := s.Open(Choice{})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/page", nil)
	for _, name := range []string{"Cookie", "X-Forwarded-For", "User-Agent", "Accept-Language", "Referer", "Authorization", "Range"} {
		r.Header.Set(name, "secret")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Body.String() != "/base/page" || w.Header().Get("Server")+w.Header().Get("Set-Cookie") != "" || w.Header().Get("Location") != "/there" {
		t.Errorf("got %q and %v, want the page without what names its server", w.Body, w.Header())
	}
	for name, values := range heard {
		if strings.Contains(strings.Join(values, ""), "secret") && name != "Range" || name == "X-Forwarded-For" {
			t.Errorf("got %s: %v told, want nothing of the visitor", name, values)
		}
	}
	if want := strings.TrimPrefix(other.URL, "http://"); heard.Get("Host") != want {
		t.Errorf("got %s asked for, want %s", heard.Get("Host"), want)
	}
	post := httptest.NewRecorder()
	h.ServeHTTP(post, httptest.NewRequest(http.MethodPost, "/page", strings.NewReader("x")))
	if post.Code != http.StatusMethodNotAllowed {
		t.Errorf("got %d for a form, want 405", post.Code)
	}
	other.Close()
	if w := get(h, "/"); w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "502 Bad Gateway") {
		t.Errorf("got %d and %q without the other, want nginx's page", w.Code, w.Body)
	}
}
