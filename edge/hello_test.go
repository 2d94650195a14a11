package edge

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"culvert/internal/wire"
)

// A client whose origin is gone, or drains and does not know it, is taken in by
// another; it would bring the same ticket for ever.
func TestAHelloOfAnOriginThatIsGoneGoesToTheConfiguredOne(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	draining := answers(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	for _, owner := range []string{gone.URL, draining.URL} {
		o := newOrigin(t)
		g, _ := newGate(t, o.URL)
		wantStatus(t, g, event("MESSAGE", up(token(t), ticket(t, addressOf(t, owner), testUser), "frames")), http.StatusOK)
		if n, h := o.got(); n != 1 || h.Event != wire.Message {
			t.Errorf("got %d events, the last %v, want the hello", n, h.Event)
		}
		wantLost(t, g, event("MESSAGE", up("", ticket(t, addressOf(t, gone.URL), testUser), "frames")), errUnreachable)
	}
}
