package doctor

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"culvert/client/front"
	"culvert/internal/link"
)

// subjectOf is the front of a test's server, whose limit of heads is an origin's.
func subjectOf(t *testing.T, h http.Handler) *subject {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.MaxHeaderBytes = 32 << 10 // a CDN's is above an origin's
	server.StartTLS()
	t.Cleanup(server.Close)
	s := &subject{number: 1, tally: &tally{}}
	s.front = link.Front{Host: server.Listener.Addr().String(), Path: "/", Pins: []link.Pin{link.PinOf(server.Certificate())}}
	s.dialer = s.tally.over(nil)
	return s
}

// originBehind is a CDN that drops one header and has an origin behind it, which shows
// its website or refuses a head for its size.
func originBehind(dropped string) http.Handler { return originBehindOf(dropped, 1<<20) }

// originBehindOf is one that refuses heads of more than limit by itself.
func originBehindOf(dropped string, limit int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size := 0
		for name, values := range r.Header {
			size += len(name) + len(strings.Join(values, ""))
		}
		if size > limit {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.Header.Del(dropped)
		size = 0
		for name, values := range r.Header {
			size += len(name) + len(strings.Join(values, ""))
			if len(strings.Join(values, "")) > 8<<10 {
				size = 1 << 20
			}
		}
		if size > 20<<10 {
			w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
		}
	})
}

func TestAWebsiteShowsWhatIsDroppedOnTheWay(t *testing.T) {
	t.Parallel()
	for want, site := range map[Cause]http.Handler{
		NoUpgrade:   originBehind("Upgrade"),
		NoCookies:   originBehind("Cookie"),
		NotLetIn:    originBehind(""),
		NoWebSocket: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
	} {
		if got := subjectOf(t, site).whyRefused(t.Context(), http.StatusOK); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// HAProxy takes 15 kB by itself, and an origin no line of more than 8.
func TestWhatIsDroppedShowsBehindWhoeverRefusesLargeHeads(t *testing.T) {
	t.Parallel()
	for dropped, want := range map[string]Cause{"Upgrade": NoUpgrade, "Cookie": NoCookies, "": NotLetIn} {
		if got := subjectOf(t, originBehindOf(dropped, 15<<10)).whyRefused(t.Context(), http.StatusOK); got != want {
			t.Errorf("%q: got %s, want %s", dropped, got, want)
		}
	}
}

// A CDN that itself refuses large heads, or says no to everything, shows nothing: there
// the old verdict stands.
func TestAWebsiteThatShowsNothingIsNoReasonToBlameIt(t *testing.T) {
	t.Parallel()
	for name, site := range map[string]http.HandlerFunc{
		"refuses all heads": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(494) },
		"fails":             func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"hangs up":          func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		if got := subjectOf(t, site).whyRefused(t.Context(), http.StatusOK); got != NotLetIn {
			t.Errorf("%s: got %s, want %s", name, got, NotLetIn)
		}
	}
}

func TestAStatusTellsWhatItCan(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]Cause{
		421: WrongHost, 403: WrongHost, 400: NoUpgrade, 426: NoUpgrade, 501: NoUpgrade, 302: Redirect, 502: OriginDown, 429: OriginDown,
	} {
		if got := new(subject).whyRefused(t.Context(), status); got != want {
			t.Errorf("%d: got %s, want %s", status, got, want)
		}
	}
	atGateway := &subject{front: link.Front{Gateway: true}}
	if got := atGateway.whyRefused(t.Context(), http.StatusForbidden); got != NotLetIn {
		t.Errorf("403 at the gateway door: got %s, want %s: a function says so to whoever brings no token", got, NotLetIn)
	}
}

// Whoever reads a failed check reads what is wrong and what to try.
func TestEachCauseThatIsToldSaysWhatToTry(t *testing.T) {
	t.Parallel()
	for cause, a := range advices {
		if a.problem == "" || a.try == "" {
			t.Errorf("%s: got %q, %q, want both", cause, a.problem, a.try)
		}
	}
	for _, known := range []map[front.Symptom]Cause{byTCP, byTLS, byUpgrade} {
		if got := causeIn(known, front.Other); got != Other {
			t.Errorf("got %s for no symptom, want %s", got, Other)
		}
	}
}
