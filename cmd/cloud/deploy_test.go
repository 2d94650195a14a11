package main

import (
	"slices"
	"strings"
	"testing"

	"culvert/cmd/cloud/internal/cfn"
)

func TestUploadsGoToABucketOfTheAccountAlone(t *testing.T) {
	t.Parallel()
	c, r, _ := testCloud(t, map[string][]string{"aws s3api head-bucket": {""}, "aws s3api put-public-access-block": {""}})
	if err := c.needBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, made := range r.Calls {
		if i := slices.Index(made.Args, "--expected-bucket-owner"); i < 0 || made.Args[i+1] != c.account.ID {
			t.Errorf("got %q, want the account asked for", made.Args)
		}
	}
	c, _, _ = testCloud(t, map[string][]string{"aws s3api head-bucket": {"!An error occurred (403) when calling the HeadBucket operation: Forbidden"}})
	if err := c.needBucket(t.Context()); err == nil {
		t.Error("got no error for a bucket of somebody else")
	}
}

func TestABucketsNameIsOneThatS3TakesAndOthersDoNotHave(t *testing.T) {
	t.Parallel()
	c, _, _ := testCloud(t, nil)
	c.Stack = "Culvert-" + strings.Repeat("x", 22)
	name := c.bucket()
	if len(name) > 63 || name != strings.ToLower(name) {
		t.Errorf("got %q, want 63 characters at most, all lower case", name)
	}
	if strings.Contains(name, c.account.ID) {
		t.Errorf("got %q, which tells whose it is", name)
	}
	c.account.ID = "210987654321"
	if c.bucket() == name {
		t.Error("two accounts have the same bucket")
	}
}

func TestGenerationsCountUp(t *testing.T) {
	t.Parallel()
	for was, want := range map[string]int{"1": 2, "9": 10, "": 0, "x": 0} {
		s := cfn.Stack{Parameters: []cfn.Parameter{{ParameterKey: "Generation", ParameterValue: was}}}
		if got, err := nextGeneration(s); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: got %d, %v, want %d", was, got, err, want)
		}
	}
}

func TestASecondRotationAsksFirst(t *testing.T) {
	t.Parallel()
	answers := linkAnswers()
	for _, nothing := range []string{"aws ec2 describe-regions", "aws lambda get-account-settings", "aws cloudfront list-distributions"} {
		answers[nothing] = []string{""}
	}
	answers["aws service-quotas get-service-quota"] = []string{`{"Quota": {"Value": 200}}`}
	c, r, _ := testCloud(t, answers)
	c.template = "deploy_test.go"
	if err := rotate(t.Context(), c); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("got %v, want an error that says that nothing was changed", err)
	}
	if built := r.Asked("sam"); len(built) > 0 {
		t.Errorf("ran sam%q without a yes", built)
	}
}

// standsWith is a stack of three distributions, of which the first is withdrawn.
func standsWith(withdrawn, fronts string) cfn.Stack {
	return cfn.Stack{
		Status: "UPDATE_COMPLETE",
		Parameters: []cfn.Parameter{{ParameterKey: "Distributions", ParameterValue: "3"}, {ParameterKey: "Withdrawn", ParameterValue: withdrawn},
			{ParameterKey: "Topology", ParameterValue: "solo"}, {ParameterKey: "Architecture", ParameterValue: "arm64"},
			{ParameterKey: "SoloInstance", ParameterValue: "b"}},
		Outputs: []struct{ OutputKey, OutputValue string }{{"Fronts", fronts}},
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
		c.yes = true
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
		if err := c.keepsProcessor(cfn.Stack{}); err != nil {
			t.Errorf("%s for a new stack: got %v", set, err)
		}
	}
}
