package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"culvert/internal/site"
)

// servedAt is the address of h until the test ends.
func servedAt(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestAWebsiteAnswersEveryWrongRequest(t *testing.T) {
	t.Parallel()
	at := servedAt(t, site.Handler())
	for i, request := range wrong() {
		status, err := ask(t.Context(), at, request)
		if err != nil || !ordinary(status) {
			t.Errorf("request %d: got %d and %v, want an ordinary answer", i+1, status, err)
		}
	}
}

func TestAnAnswerThatNoWebsiteGivesIsNoticed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusNoContent, http.StatusGone, http.StatusInternalServerError, http.StatusServiceUnavailable} {
		at := servedAt(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		if n, err := pester(t.Context(), at); n != 0 || err == nil {
			t.Errorf("status %d: got %d requests and %v, want an error at once", status, n, err)
		}
	}
}

func TestStrangersStopWhenToldTo(t *testing.T) {
	t.Parallel()
	at := servedAt(t, site.Handler())
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := pester(ctx, at); err != nil {
		t.Errorf("got %v, want none", err)
	}
}
