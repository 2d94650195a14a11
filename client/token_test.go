package client

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"culvert/internal/link"
	"culvert/internal/wire"
)

// tokenTaker is a front that refuses the first requests and keeps all tokens.
type tokenTaker struct {
	refuse int
	ahead  time.Duration // of its clock

	mu     sync.Mutex // guards tokens
	tokens []wire.Token
}

func (f *tokenTaker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	cookie, err := r.Cookie(wire.TokenCookie)
	if err == nil {
		var token wire.Token
		text, _, _ := wire.CutAhead(cookie.Value)
		token, err = wire.ParseToken(text)
		f.tokens = append(f.tokens, token)
	}
	w.Header().Set("Date", time.Now().Add(f.ahead).UTC().Format(http.TimeFormat))
	if err != nil || len(f.tokens) <= f.refuse {
		w.WriteHeader(http.StatusOK)
		return
	}
	letIn(w, r)
}

// front is f's, at the stream door.
func (f *tokenTaker) front(t *testing.T) link.Front {
	t.Helper()
	server := httptest.NewTLSServer(f)
	t.Cleanup(server.Close)
	return link.Front{Host: server.Listener.Addr().String(), Path: "/", Pins: []link.Pin{link.PinOf(server.Certificate())}}
}

// CloudFront may send a request twice, and answer with what the second brought.
func TestARefusalIsTriedAgainOnceByAnotherToken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		refuse  int
		gateway bool
		asked   int
		want    error
	}{
		"once":                  {1, false, 2, nil},
		"always":                {9, false, 2, ErrNotLetIn},
		"at the gateway door":   {9, true, 1, ErrNotLetIn},
		"nobody has refused it": {0, false, 1, nil},
	} {
		taker := &tokenTaker{refuse: test.refuse}
		f := taker.front(t)
		f.Gateway = test.gateway
		c, err := New(Config{Link: linkTo(f)})
		if err != nil {
			t.Fatal(err)
		}
		s, _, err := c.dialSocket(t.Context(), wanted{home: c.pool.current(), may: anyFront})
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, test.want) || len(taker.tokens) != test.asked {
			t.Errorf("%s: got %v after %d requests, want %v after %d", name, err, len(taker.tokens), test.want, test.asked)
		}
		if len(taker.tokens) == 2 && taker.tokens[0] == taker.tokens[1] {
			t.Errorf("%s: the same token came twice", name)
		}
		if err == nil && s.token != taker.tokens[len(taker.tokens)-1] {
			t.Errorf("%s: the socket's token is not the one that opened it", name)
		}
	}
}

// A front's Date moves the time in tokens for that front, and in no others.
func TestADateMovesTheTokensOfItsFrontAlone(t *testing.T) {
	t.Parallel()
	wrong, right := &tokenTaker{ahead: 2 * time.Hour}, &tokenTaker{}
	c, err := New(Config{Link: linkTo(wrong.front(t), right.front(t))})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for front := range 2 {
			if p := c.Probe(t.Context(), front); !p.Passed() {
				t.Fatalf("got %+v, want all hops passed", p)
			}
		}
	}
	for name, test := range map[string]struct {
		taker *tokenTaker
		want  time.Duration
	}{"the front that is ahead": {wrong, 2 * time.Hour}, "the other": {right, 0}} {
		last := test.taker.tokens[len(test.taker.tokens)-1]
		if got := time.Until(last.Expires()) - wire.TokenLife; (got - test.want).Abs() > time.Minute {
			t.Errorf("%s: got a token from %v ahead, want %v", name, got, test.want)
		}
	}
}
