package doctor

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// An origin's operator hears what is limited, by kind and how often, and nothing of who it was.
func TestAnOriginSaysWhatItLimits(t *testing.T) {
	t.Parallel()
	const quiet = "# HELP culvert_shares_total x\nprocess_start_time_seconds 1.7e+09\n" +
		"culvert_shares_total{did=\"refused\",of=\"tunnels\",whose=\"user\"} 0\nculvert_strangers_displaced_total 0\n"
	for name, c := range map[string]struct {
		metrics, detail string
		status          Status
		limits          int
	}{
		"nothing": {quiet, "nothing was limited in ", Passed, 0},
		"all kinds": {quiet + "culvert_shares_total{did=\"ended\",of=\"tunnels\",whose=\"user\"} 3\n" +
			"culvert_shares_total{did=\"refused\",of=\"memory\",whose=\"user\"} 2\n" +
			"culvert_shares_total{did=\"ended\",of=\"carriers\",whose=\"session\"} 1.5e+06\nculvert_strangers_displaced_total 7\n",
			"users' shares 5 times (memory refused 2, tunnels ended 3); sessions' shares 1500000 times (carriers ended 1500000); strangers' shares 7 times (connections ended 7)", Passed, 4},
		"another program": {"go_goroutines 7\n", "", Failed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(c.metrics)) }))
			defer origin.Close()
			r := newReport(Directly)
			r.AddLimits(t.Context(), strings.TrimPrefix(origin.URL, "http://"), Silent{})
			got := r.Checks[0]
			if got.Hop != Shares || got.Status != c.status || !strings.Contains(got.Detail, c.detail) || len(got.Limits) != c.limits {
				t.Errorf("got %+v, want %s and %q with %d limits", got, c.status, c.detail, c.limits)
			}
			if limited := got.Cause == SharesUsedUp; limited != (c.limits > 0) {
				t.Errorf("got the cause %q with %d limits", got.Cause, c.limits)
			}
		})
	}
}
