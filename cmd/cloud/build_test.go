package main

import (
	"slices"
	"testing"
)

func TestUploadsGoToABucketOfTheAccountAlone(t *testing.T) {
	t.Parallel()
	c, r, _ := testCloud(t, map[string][]string{"aws s3api head-bucket": {""}, "aws s3api put-public-access-block": {""}})
	if err := c.needBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, made := range r.calls {
		if i := slices.Index(made.args, "--expected-bucket-owner"); i < 0 || made.args[i+1] != c.account.ID {
			t.Errorf("got %q, want the account asked for", made.args)
		}
	}
	c, _, _ = testCloud(t, map[string][]string{"aws s3api head-bucket": {"!An error occurred (403) when calling the HeadBucket operation: Forbidden"}})
	if err := c.needBucket(t.Context()); err == nil {
		t.Error("got no error for a bucket of somebody else")
	}
}
