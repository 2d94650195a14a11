package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
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
		if _, err := parse("test", strings.Fields(line), io.Discard); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
}

func TestParametersAreGivenKeptOrLeftToTheTemplate(t *testing.T) {
	t.Parallel()
	o := options{given: map[string]string{"Topology": "fleet"}}
	s := stack{Parameters: []parameter{{ParameterKey: "Topology", ParameterValue: "solo"}, {ParameterKey: "Budget", ParameterValue: "5"}}}
	got, err := o.parametersFor(s, []string{"Budget", "New", "Topology"})
	want := []parameter{{ParameterKey: "Budget", UsePreviousValue: true}, {ParameterKey: "Topology", ParameterValue: "fleet"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := o.parametersFor(s, []string{"Budget"}); err == nil {
		t.Error("got no error for a parameter that the template does not have")
	}
}

func TestSeveralParametersMayBeSetAtOnce(t *testing.T) {
	t.Parallel()
	o, err := parse("test", []string{"--set", "ZoneA=euc1-az1 ZoneB=euc1-az2  Withdrawn="}, io.Discard)
	want := map[string]string{"ZoneA": "euc1-az1", "ZoneB": "euc1-az2", "Withdrawn": ""}
	if err != nil || !maps.Equal(o.given, want) {
		t.Errorf("got %v, %v, want %v", o.given, err, want)
	}
	for _, bad := range []string{"", " ", "ZoneA", "ZoneA=1 =2"} {
		if _, err := parse("test", []string{"--set", bad}, io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("%q: got %v, want %v", bad, err, errUsage)
		}
	}
}

func TestAFleetNeedsRoomForThoseThatAreDrained(t *testing.T) {
	t.Parallel()
	solo := stack{Status: "UPDATE_COMPLETE", Parameters: []parameter{{ParameterKey: "Topology", ParameterValue: "solo"}}}
	for _, one := range []struct {
		given string
		stack stack
		want  float64
	}{{"", stack{}, 2}, {"fleet", stack{}, 8}, {"", solo, 0}, {"solo", solo, 0}, {"fleet", solo, 8}} {
		o := options{given: map[string]string{}}
		if one.given != "" {
			o.given["Topology"] = one.given
		}
		if got := needCPUs(o, one.stack); got != one.want {
			t.Errorf("%q for a stack %q: got %v, want %v", one.given, one.stack.Status, got, one.want)
		}
	}
}

func TestQuotasSayAllThatIsMissing(t *testing.T) {
	t.Parallel()
	c, _, said := testCloud(t, map[string][]string{
		"aws service-quotas get-service-quota": {`{"Quota": {"Value": 4}}`, `{"Quota": {"Value": 5}}`, "!AccessDenied"},
		"aws ec2 describe-instances":           {`[{"CoreCount": 2, "ThreadsPerCore": 2}]`},
		"aws ec2 describe-vpcs":                {"5"},
		"aws cloudfront list-distributions":    {"0"},
		"aws cloudfront list-vpc-origins":      {"!AccessDenied"},
	})
	c.report(c.checkQuotas(t.Context(), stack{}))
	wantSaid(t, said.String(), "vCPUs: 4 allowed, 4 in use, 2 more needed", "networks (VPCs): 5 allowed, 5 in use, 1 more needed",
		"VPC origins not checked", "--quota-code L-1216C47A --desired-value 6", "--quota-code L-F678F1CE --desired-value 6")
}

func TestQuotasOfAStackThatStandsAreNotAskedAgain(t *testing.T) {
	t.Parallel()
	c, r, _ := testCloud(t, map[string][]string{"aws lambda get-account-settings": {`{"AccountLimit": {"ConcurrentExecutions": 1000}}`}})
	if err := c.checkQuotas(t.Context(), stack{Status: "CREATE_COMPLETE", Parameters: []parameter{{ParameterKey: "Distributions", ParameterValue: "1"}}}); err != nil {
		t.Fatal(err)
	}
	if len(r.calls) > 1 {
		t.Errorf("asked %q, want nothing of quotas", r.asked(""))
	}
}

func TestANewAccountHearsThatItMayRunFewFunctions(t *testing.T) {
	t.Parallel()
	c, _, said := testCloud(t, map[string][]string{"aws lambda get-account-settings": {`{"AccountLimit": {"ConcurrentExecutions": 10}}`}})
	c.checkConcurrency(t.Context())
	wantSaid(t, said.String(), "Only 10 functions", "--quota-code L-B99A9384")
}

func TestAChangeThatReplacesTheInstanceIsRefused(t *testing.T) {
	t.Parallel()
	err := refuseReplacement([]resourceChange{
		{Action: "Modify", Type: "AWS::Lambda::Function", Replacement: "True"},
		{Action: "Modify", Type: "AWS::EC2::Instance", Replacement: "True"},
	})
	if err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("got %v, want a refusal", err)
	}
	if err := refuseReplacement([]resourceChange{{Action: "Add", Type: "AWS::EC2::Instance"}}); err != nil {
		t.Errorf("got %v for a new instance, want no error", err)
	}
}

func TestGaugesOfAllOriginsAreAddedUp(t *testing.T) {
	t.Parallel()
	sums, machines := addUp([]string{"culvert_users 3\nculvert_tunnels 7\n", "culvert_users 2\n# HELP x\nbroken", "curl: (7)"})
	if machines != 2 || sums["culvert_users"] != 5 || sums["culvert_tunnels"] != 7 {
		t.Errorf("got %v of %d machines, want 5 users, 7 tunnels, 2 machines", sums, machines)
	}
}

func TestMissingCommandLinesAreOfferedAndNotInstalledUnasked(t *testing.T) {
	t.Parallel()
	c, r, said := testCloud(t, nil)
	c.look = func(name string) (string, bool) { return "", name == "aws" }
	if err := c.needTools(t.Context(), false); err != nil {
		t.Errorf("got %v where SAM's is not needed, want no error", err)
	}
	c.report(c.needTools(t.Context(), true))
	wantSaid(t, said.String(), "command line")
	if len(r.calls) > 0 {
		t.Errorf("ran %q unasked", r.asked(""))
	}
}

func TestCtrlCSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, one := range commands {
		var said bytes.Buffer
		if code := run(ctx, []string{one.name, "--template", "fake_test.go"}, &recorded{t: t}, &said); code != 130 {
			t.Errorf("%s: got exit code %d, want 130: %s", one.name, code, &said)
		}
		wantSaid(t, said.String(), "Interrupted.")
	}
}

func TestNoCommandPrintsTheTargets(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	if code := run(t.Context(), []string{"fly"}, &recorded{t: t}, &said); code != 2 {
		t.Errorf("got exit code %d, want 2", code)
	}
	wantSaid(t, said.String(), "deploy", "destroy", "YES=1")
}
