package main

import (
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"culvert/cmd/cloud/internal/cfn"
	"culvert/internal/term"
)

func TestBadCommandLinesSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"--stack 7up":                        "STACK is",
		"--stack a/b":                        "STACK is",
		"--stack " + strings.Repeat("x", 31): "STACK is",
		"--region here":                      "REGION is",
		"--region eu-central-1;x":            "REGION is",
		"--user 0":                           "USER is",
		"--user 4294967296":                  "USER is",
		"--user x":                           "invalid value",
		"--user -1":                          "invalid value",
		"--front -1":                         "FRONT is",
		"--users 0":                          "--users",
		"--set x":                            "KEY=VALUE",
		"extra":                              "unexpected",
		"--unknown":                          "not defined",
	} {
		if _, err := parse("test", "", strings.Fields(line), io.Discard); !errors.As(err, new(term.UsageError)) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
}

func TestParametersAreGivenKeptOrLeftToTheTemplate(t *testing.T) {
	t.Parallel()
	o := options{given: map[string]string{"Topology": "fleet"}}
	s := cfn.Stack{Parameters: []cfn.Parameter{{ParameterKey: "Topology", ParameterValue: "solo"}, {ParameterKey: "Budget", ParameterValue: "5"}}}
	got, err := o.parametersFor(s, []string{"Budget", "New", "Topology"})
	want := []cfn.Parameter{{ParameterKey: "Budget", UsePreviousValue: true}, {ParameterKey: "Topology", ParameterValue: "fleet"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := o.parametersFor(s, []string{"Budget"}); err == nil {
		t.Error("got no error for a parameter that the template does not have")
	}
}

func TestSeveralParametersMayBeSetAtOnce(t *testing.T) {
	t.Parallel()
	o, err := parse("test", "", []string{"--set", "ZoneA=euc1-az1 ZoneB=euc1-az2  Withdrawn="}, io.Discard)
	want := map[string]string{"ZoneA": "euc1-az1", "ZoneB": "euc1-az2", "Withdrawn": ""}
	if err != nil || !maps.Equal(o.given, want) {
		t.Errorf("got %v, %v, want %v", o.given, err, want)
	}
	for _, bad := range []string{"", " ", "ZoneA", "ZoneA=1 =2"} {
		if _, err := parse("test", "", []string{"--set", bad}, io.Discard); !errors.As(err, new(term.UsageError)) {
			t.Errorf("%q: got %v, want a UsageError", bad, err)
		}
	}
}
