package passthrough

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"culvert/internal/site"
)

// firstPage is what h shows.
func firstPage(h http.Handler) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Body.String()
}

// An edge shows the origin's website, also when the origin has gone since; and the one that it was told, whatever the
// origin shows.
func TestAnEdgeShowsTheOriginsWebsiteWithoutIt(t *testing.T) {
	t.Parallel()
	choice := site.Choice{Kind: "farsh", Seed: 0xabcdef}
	for name, c := range map[string]struct {
		origin, told http.Handler
		want         string
	}{
		"an embedded one":  {choice.Site(), nil, firstPage(choice.Site())},
		"another":          {http.NotFoundHandler(), nil, firstPage(site.Handler())},
		"what it was told": {choice.Site(), site.Choice{Kind: "foto"}.Site(), firstPage(site.Choice{Kind: "foto"}.Site())},
		"nothing": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }), nil,
			firstPage(site.Handler())},
	} {
		origin := httptest.NewServer(c.origin)
		at, err := url.Parse(origin.URL)
		if err != nil {
			t.Fatal(err)
		}
		p := newProxy(t, origin.URL, Options{Site: c.told})
		answered := p.site.fixed || p.ask(t.Context(), at)
		if want := name != "nothing"; answered != want {
			t.Errorf("%s: got answered %v, want %v", name, answered, want)
		}
		origin.Close()
		if got := firstPage(p); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		p.Learn(over, at) // returns
	}
}
