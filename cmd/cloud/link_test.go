package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"culvert/internal/aws"
	"culvert/test/awstest"
)

const outputs = `{"Stacks": [{"StackId": "arn:root", "StackName": "culvert", "StackStatus": "CREATE_COMPLETE",
  "Parameters": [{"ParameterKey": "Generation", "ParameterValue": "3"}],
  "Outputs": [
    {"OutputKey": "Fronts", "OutputValue": "d1.cloudfront.net d2.cloudfront.net"},
    {"OutputKey": "Gateway", "OutputValue": "wss://api.execute-api.us-east-1.amazonaws.com/v1"},
    {"OutputKey": "MasterSecret", "OutputValue": "arn:master"},
    {"OutputKey": "GateSecret", "OutputValue": "arn:gate"},
    {"OutputKey": "RevokedParameter", "OutputValue": "/culvert/culvert/revoked"}]}]}`

func linkAnswers() map[string][]string {
	return map[string][]string{
		"aws configure get":                   {"us-east-1\n"},
		"aws sts get-caller-identity":         {`{"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/me"}`},
		"aws cloudformation describe-stacks":  {outputs},
		"aws secretsmanager get-secret-value": {"the-master-secret\n", "the-gate-secret\n"},
		"culvert link new":                    {"culvert:link\n"},
	}
}

func TestALinkHasEveryFrontAndItsSecretsAreInNoArgumentNorSaid(t *testing.T) {
	t.Parallel()
	c, r, said := testCloud(t, linkAnswers())
	s, err := c.Describe(t.Context(), "culvert")
	if err != nil {
		t.Fatal(err)
	}
	c.user = 7
	text, err := c.handOut(t.Context(), s)
	if err != nil || text != "culvert:link\n" {
		t.Fatalf("got %q, %v", text, err)
	}
	for _, made := range r.Calls {
		all := strings.Join(append(append(made.Args, made.Env...), made.Stdin), " ")
		if strings.Contains(all, "the-master-secret") || strings.Contains(all, "the-gate-secret") {
			t.Errorf("a secret is in what %s is given: %s", aws.Describe(made), all)
		}
	}
	awstest.WantSaid(t, strings.Join(r.Calls[3].Args, " "), "--user 7", "--front wss://d1.cloudfront.net/", "--front wss://d2.cloudfront.net/",
		"--front wss://api.execute-api.us-east-1.amazonaws.com/v1;door=gateway")
	if strings.Contains(said.String(), "secret\n") {
		t.Errorf("a secret was said:\n%s", said)
	}
}

func TestALinkMayHaveOneDistributionAlone(t *testing.T) {
	t.Parallel()
	c, _, _ := testCloud(t, linkAnswers())
	s, err := c.Describe(t.Context(), "culvert")
	if err != nil {
		t.Fatal(err)
	}
	c.front = 2
	args, err := c.linkArgs(s)
	if err != nil || slices.Contains(args, "wss://d1.cloudfront.net/") || !slices.Contains(args, "wss://d2.cloudfront.net/") {
		t.Errorf("got %q, %v", args, err)
	}
	c.front = 3
	if _, err := c.linkArgs(s); err == nil || !strings.Contains(err.Error(), "no front 3") {
		t.Errorf("got %v, want an error for a front that is not there", err)
	}
}

func TestAFrontKeepsItsNumberWhenOneBeforeItIsWithdrawn(t *testing.T) {
	t.Parallel()
	s := standsWith("1", "d2.cloudfront.net d3.cloudfront.net")
	if got, want := fronts(s), []front{{2, "d2.cloudfront.net"}, {3, "d3.cloudfront.net"}}; !slices.Equal(got, want) {
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

func TestOnlyATestTrustsAnotherKeyThanWhatsApps(t *testing.T) {
	for _, root := range []string{"", strings.Repeat("5a", 32)} {
		t.Setenv(standInRoot, root)
		c, r, said := testCloud(t, map[string][]string{"culvert doctor": {""}})
		if err := c.doctor(t.Context(), "culvert:link"); err != nil {
			t.Fatal(err)
		}
		at := slices.Index(r.Calls[0].Args, "--chat-root")
		if (at >= 0) != (root != "") || at >= 0 && r.Calls[0].Args[at+1] != root {
			t.Errorf("got %q, want the key %q", r.Calls[0].Args, root)
		}
		if warned := strings.Contains(said.String(), "which is for tests"); warned != (root != "") {
			t.Errorf("got %q with the key %q", said, root)
		}
	}
}

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
	last := r.Calls[len(r.Calls)-1].Args
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
	if err := revoke(t.Context(), c); err == nil || len(r.Asked("aws ssm put")) > 0 {
		t.Errorf("got %v and %q, want an error and nothing written", err, r.Asked("aws ssm put"))
	}
}
