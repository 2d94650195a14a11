package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
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
	s, err := c.describe(t.Context(), "culvert")
	if err != nil {
		t.Fatal(err)
	}
	c.user = 7
	text, err := c.handOut(t.Context(), s)
	if err != nil || text != "culvert:link\n" {
		t.Fatalf("got %q, %v", text, err)
	}
	for _, made := range r.calls {
		all := strings.Join(append(append(made.args, made.env...), made.stdin), " ")
		if strings.Contains(all, "the-master-secret") || strings.Contains(all, "the-gate-secret") {
			t.Errorf("a secret is in what %s is given: %s", describe(made), all)
		}
	}
	wantSaid(t, strings.Join(r.calls[3].args, " "), "--user 7", "--front wss://d1.cloudfront.net/", "--front wss://d2.cloudfront.net/",
		"--front wss://api.execute-api.us-east-1.amazonaws.com/v1;door=gateway")
	if strings.Contains(said.String(), "secret\n") {
		t.Errorf("a secret was said:\n%s", said)
	}
}

func TestALinkMayHaveOneDistributionAlone(t *testing.T) {
	t.Parallel()
	c, _, _ := testCloud(t, linkAnswers())
	s, err := c.describe(t.Context(), "culvert")
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

// The real runner hands secrets to a program that opens them as files.
func TestAProgramReadsSecretsFromPipes(t *testing.T) {
	t.Parallel()
	got, err := programs{}.run(t.Context(), call{name: "cat", args: []string{secretFile(0), secretFile(1)},
		secrets: [][]byte{[]byte("one "), []byte("two")}})
	if err != nil || !bytes.Equal(got, []byte("one two")) {
		t.Errorf("got %q, %v, want %q", got, err, "one two")
	}
}

func TestAFailureSaysWhatTheProgramSaidAndNoValue(t *testing.T) {
	t.Parallel()
	_, err := programs{}.run(t.Context(), call{name: "sh", args: []string{"-c", "echo broken >&2; exit 3", "--value", "hidden"}})
	if err == nil || !strings.Contains(err.Error(), "broken") || strings.Contains(err.Error(), "hidden") {
		t.Errorf("got %v", err)
	}
}

func TestGenerationsCountUp(t *testing.T) {
	t.Parallel()
	for was, want := range map[string]int{"1": 2, "9": 10, "": 0, "x": 0} {
		s := stack{Parameters: []parameter{{ParameterKey: "Generation", ParameterValue: was}}}
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
	c.template = "link_test.go"
	if err := rotate(t.Context(), c); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("got %v, want an error that says that nothing was changed", err)
	}
	if built := r.asked("sam"); len(built) > 0 {
		t.Errorf("ran sam%q without a yes", built)
	}
}
