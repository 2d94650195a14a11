package main

import (
	"slices"
	"strings"
	"testing"

	"culvert/internal/aws"
	"culvert/test/awstest"
)

// remains are answers of an account in which things are left of culvert, of
// culvert-2 and of others.
func remains() map[string][]string {
	return map[string][]string{
		"aws logs describe-log-groups":                    {`["/culvert/culvert/message", "/culvert/culvert-2/message", "/aws/lambda/other"]`, `[]`},
		"aws ssm describe-parameters":                     {`["/culvert/culvert-2/revoked"]`},
		"aws secretsmanager list-secrets":                 {`["culvert/1/master/1", "culvert-2/1/master/1"]`, `[]`},
		"aws s3api head-bucket":                           {"", "!An error occurred (404) when calling the HeadBucket operation: Not Found"},
		"aws logs delete-log-group":                       {""},
		"aws secretsmanager delete-secret":                {""},
		"aws s3 rb s3://culvert-uploads-c1b4e146ac29c248": {""},
	}
}

func TestDestroyLeavesADeploymentAloneWhoseNameBeginsTheSame(t *testing.T) {
	t.Parallel()
	c, _, _ := testCloud(t, remains())
	left, err := c.leftovers(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range left {
		names = append(names, l.id)
	}
	want := []string{"/culvert/culvert/message", "culvert/1/master/1", "culvert-uploads-c1b4e146ac29c248"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

func TestDestroyAsksFirst(t *testing.T) {
	t.Parallel()
	answers := remains()
	answers["aws sts get-caller-identity"] = []string{`{"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:root"}`}
	answers["aws cloudformation describe-stacks"] = []string{awstest.NoStack}
	c, r, said := testCloud(t, answers)
	err := destroy(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), "nothing was deleted") {
		t.Errorf("got %v, want an error that says that nothing was deleted", err)
	}
	awstest.WantSaid(t, said.String(), "log group /culvert/culvert/message", "bucket of uploads", "root credentials")
	for _, c := range r.Calls {
		if d := aws.Describe(c); strings.Contains(d, "delete") || strings.Contains(d, "rb") {
			t.Errorf("deleted without a yes: %s", d)
		}
	}
}
