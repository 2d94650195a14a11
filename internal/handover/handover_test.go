package handover

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"culvert/internal/wire"
	"culvert/test/nobody"
)

func TestTheEnvironmentNamesNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://198.51.100.7:3128")
	if New(nil).http.Transport.(*http.Transport).Proxy != nil {
		t.Error("got a client with a proxy, want none")
	}
}

// What comes from another origin says so, so that it is passed on once.
func TestAMessageIsPostedAsItIs(t *testing.T) {
	t.Parallel()
	type got struct{ method, path, passed, body string }
	posts := make(chan got, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posts <- got{r.Method, r.URL.Path, r.Header.Get(wire.PassedHeader), string(body)}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer s.Close()
	to, _ := url.Parse(s.URL)
	c := New(nil)
	defer c.Close()
	for passed, header := range map[bool]string{false: "", true: "1"} {
		status, err := c.Post(t.Context(), *to, []byte("signed"), passed)
		if want := (got{"POST", "/", header, "signed"}); err != nil || status != http.StatusNoContent || <-posts != want {
			t.Errorf("got %d and %v, want 204 for %v", status, err, want)
		}
	}
}

func TestAnErrorSaysWhetherTheMessageLeft(t *testing.T) {
	t.Parallel()
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer silent.Close()
	c := New(nil)
	defer c.Close()
	for at, want := range map[string]error{silent.URL: ErrSilent, "http://" + nobody.Addr(t).String(): ErrUnreachable} {
		to, _ := url.Parse(at)
		if _, err := c.Post(t.Context(), *to, []byte("signed"), false); err != want {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}
