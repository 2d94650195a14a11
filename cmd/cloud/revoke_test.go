package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestTheListOfRevokedUsersIsInOrderAndHasEachOnce(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		list string
		user uint
		want string
	}{
		{"none", 7, "7"},
		{"", 7, "7"},
		{"7", 7, "7"},
		{"12 7", 3, "3 7 12"},
		{"4294967295 4294967296 x -1", 2, "2 4294967295"},
	} {
		if got := addRevoked(one.list, one.user); got != one.want {
			t.Errorf("%q and %d: got %q, want %q", one.list, one.user, got, one.want)
		}
	}
}

func TestRevokeWritesTheListThatWasThereAndTheUser(t *testing.T) {
	t.Parallel()
	answers := linkAnswers()
	answers["aws ssm get-parameter"] = []string{`{"Parameter": {"Value": "3"}}`}
	answers["aws ssm put-parameter"] = []string{"{}"}
	c, r, _ := testCloud(t, answers)
	c.user = 7
	if err := revoke(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	last := r.calls[len(r.calls)-1].args
	if i := slices.Index(last, "--value"); i < 0 || last[i+1] != "3 7" {
		t.Errorf("got %q, want the value 3 7", last)
	}
}

func TestAFullListOfRevokedUsersIsNotCut(t *testing.T) {
	t.Parallel()
	var numbers []string
	for n := range maxRevoked / 7 {
		numbers = append(numbers, fmt.Sprint(100_000+n))
	}
	full := strings.Join(numbers, " ")
	answers := linkAnswers()
	answers["aws ssm get-parameter"] = []string{`{"Parameter": {"Value": "` + full + `"}}`}
	c, r, _ := testCloud(t, answers)
	c.user = 4_000_000_000
	if err := revoke(t.Context(), c); err == nil || len(r.asked("aws ssm put")) > 0 {
		t.Errorf("got %v and %q, want an error and nothing written", err, r.asked("aws ssm put"))
	}
}
