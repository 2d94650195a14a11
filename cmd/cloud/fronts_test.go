package main

import (
	"slices"
	"strings"
	"testing"
)

// standsWith is a stack of three distributions, of which the first is withdrawn.
func standsWith(withdrawn, fronts string) stack {
	return stack{
		Status: "UPDATE_COMPLETE",
		Parameters: []parameter{{ParameterKey: "Distributions", ParameterValue: "3"}, {ParameterKey: "Withdrawn", ParameterValue: withdrawn},
			{ParameterKey: "Topology", ParameterValue: "solo"}, {ParameterKey: "Architecture", ParameterValue: "arm64"},
			{ParameterKey: "SoloInstance", ParameterValue: "b"}},
		Outputs: []struct{ OutputKey, OutputValue string }{{"Fronts", fronts}},
	}
}

func TestAFrontKeepsItsNumberWhenOneBeforeItIsWithdrawn(t *testing.T) {
	t.Parallel()
	s := standsWith("1", "d2.cloudfront.net d3.cloudfront.net")
	if got, want := s.fronts(), []front{{2, "d2.cloudfront.net"}, {3, "d3.cloudfront.net"}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	c, _, _ := testCloud(t, nil)
	for number, want := range map[int]string{2: "d2.cloudfront.net", 3: "d3.cloudfront.net", 0: "d2.cloudfront.net d3.cloudfront.net"} {
		c.front = number
		if got, err := c.frontNames(s); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%d: got %q and %v, want %s", number, got, err, want)
		}
	}
	c.front = 1
	if _, err := c.frontNames(s); err == nil {
		t.Error("got no error for a front that is withdrawn")
	}
}

func TestFrontsGoOnlyAfterAYes(t *testing.T) {
	t.Parallel()
	for _, one := range []struct{ set, removes string }{
		{"Withdrawn=2", "front 2"}, // and makes the first anew
		{"Distributions=2", "front 3"},
		{"Withdrawn=12", "front 2"},
		{"Withdrawn=1", ""},
		{"Distributions=5", ""},
		{"Budget=7", ""},
	} {
		c, _, _ := testCloud(t, nil)
		if err := c.set(one.set); err != nil {
			t.Fatal(err)
		}
		s := standsWith("1", "d2.cloudfront.net d3.cloudfront.net")
		err := c.agreeToRemove(s)
		if (err != nil) != (one.removes != "") || err != nil && !strings.Contains(err.Error(), one.removes) {
			t.Errorf("%s: got %v, want an error about %q", one.set, err, one.removes)
		}
		c.console.yes = true
		if err := c.agreeToRemove(s); err != nil {
			t.Errorf("%s with a yes: got %v", one.set, err)
		}
	}
}

func TestAnInstanceKeepsItsProcessor(t *testing.T) {
	t.Parallel()
	for set, refused := range map[string]bool{
		"Architecture=x86_64":                true,
		"Architecture=x86_64 SoloInstance=b": true,
		"Architecture=x86_64 SoloInstance=a": false,
		"Architecture=x86_64 Topology=fleet": false,
		"Architecture=arm64":                 false,
		"Budget=7":                           false,
	} {
		c, _, _ := testCloud(t, nil)
		if err := c.set(set); err != nil {
			t.Fatal(err)
		}
		if err := c.keepsProcessor(standsWith("", "")); (err != nil) != refused {
			t.Errorf("%s: got %v, want an error: %v", set, err, refused)
		}
		if err := c.keepsProcessor(stack{}); err != nil {
			t.Errorf("%s for a new stack: got %v", set, err)
		}
	}
}
