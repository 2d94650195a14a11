package main

import (
	"slices"
	"strings"
	"testing"
)

func TestOnlyATestTrustsAnotherKeyThanWhatsApps(t *testing.T) {
	for _, root := range []string{"", strings.Repeat("5a", 32)} {
		t.Setenv(standInRoot, root)
		c, r, said := testCloud(t, map[string][]string{"culvert doctor": {""}})
		if err := c.doctor(t.Context(), "culvert:link"); err != nil {
			t.Fatal(err)
		}
		at := slices.Index(r.calls[0].args, "--chat-root")
		if (at >= 0) != (root != "") || at >= 0 && r.calls[0].args[at+1] != root {
			t.Errorf("got %q, want the key %q", r.calls[0].args, root)
		}
		if warned := strings.Contains(said.String(), "which is for tests"); warned != (root != "") {
			t.Errorf("got %q with the key %q", said, root)
		}
	}
}
