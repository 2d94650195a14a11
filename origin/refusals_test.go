package origin

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// What is allocated is counted exactly, and goes with the hashes: the time of a refusal tells a
// stranger nothing of how near the token was. test/probing measures it.
func TestEveryRefusalCostsTheSame(t *testing.T) {
	master := seal.NewMaster()
	o := newTestOrigin(t, master)
	now := time.Now()
	keys, proof := master.Client(7), master.Pair(7).ProofKey()
	good := wire.NewToken(7, keys.Token, proof, now)
	if _, ok := o.admission.verify(good.Text(), now); !ok {
		t.Fatal("got a good token refused")
	}
	old := wire.NewToken(7, keys.Token, proof, now.Add(-2*wire.TokenLife))
	others := wire.NewToken(7, seal.NewMaster().Client(7).Token, proof, now)
	cost := func(why, text string) float64 {
		t.Helper()
		if _, got := o.admission.judge(text, now); got != why {
			t.Errorf("got %q, want %q", got, why)
		}
		return testing.AllocsPerRun(100, func() { o.admission.judge(text, now) })
	}
	want := cost("", good.Text())
	for name, c := range map[string]struct{ why, text string }{
		"none":               {"malformed", ""},
		"too short":          {"malformed", good.Text()[1:]},
		"no base64":          {"malformed", "!" + good.Text()[1:]},
		"nothing in it":      {"malformed", (&wire.Token{}).Text()},
		"old":                {"not admitted", old.Text()},
		"another front's":    {"not admitted", others.Text()},
		"of nobody we know":  {"not admitted", changedUser(others).Text()},
		"changed on its way": {"not admitted", changedUser(good).Text()},
	} {
		if got := cost(c.why, c.text); got != want {
			t.Errorf("%s: got %v allocations, want %v as for a good token", name, got, want)
		}
	}
}

func changedUser(t wire.Token) *wire.Token {
	t[4]++
	return &t
}

// A request that brings no token, or that asks for no WebSocket, is looked at like all others, and takes none.
func TestWhoAsksForNoSocketTakesNoToken(t *testing.T) {
	t.Parallel()
	master := seal.NewMaster()
	o := newTestOrigin(t, master)
	keys, proof := master.Client(7), master.Pair(7).ProofKey()
	token := wire.NewToken(7, keys.Token, proof, time.Now())
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(&http.Cookie{Name: wire.TokenCookie, Value: token.Text()})
	if _, _, ok := o.stream.admit(r); ok {
		t.Error("got a plain visit let in")
	}
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
		r.Header.Set(name, value)
	}
	for _, want := range []bool{true, false} {
		if _, _, ok := o.stream.admit(r); ok != want {
			t.Errorf("got let in %v, want %v", ok, want)
		}
	}
}
