package main

import (
	"bytes"
	"os"
	"testing"

	"culvert/internal/site"
)

func TestTheWorkerShowsTheSiteOfToday(t *testing.T) {
	t.Parallel()
	want, err := code(site.First())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile("../pages.js"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is stale (%v): go run ./edge/worker/embed", module, err)
	}
}
