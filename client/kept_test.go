package client

import (
	"net/http"
	"testing"
)

// A date that a cache has kept for an hour would have tokens made for an hour ago.
func TestNoTimeIsLearnedFromAKeptAnswer(t *testing.T) {
	t.Parallel()
	for age, kept := range map[string]bool{"": false, "0": false, "1": true, "3600": true} {
		h := http.Header{}
		if age != "" {
			h.Set("Age", age)
		}
		if isKept(h) != kept {
			t.Errorf("Age %q: got kept %v, want %v", age, !kept, kept)
		}
	}
	old := http.Header{"Age": {"3600"}, "Date": {"Sun, 12 Oct 2025 16:20:07 GMT"}}
	if new(Client).learnDate(0, &http.Response{Header: old}) {
		t.Error("got the time of a kept answer learned")
	}
}
