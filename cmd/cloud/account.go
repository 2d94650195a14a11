package main

import (
	"cmp"
	"context"
	"os"
	"strings"
)

// account is whose cloud it is.
type account struct {
	ID  string `json:"Account"`
	Arn string
}

// who is the last part of the ARN: the name of a user or a role.
func (a account) who() string { return a.Arn[strings.LastIndexByte(a.Arn, '/')+1:] }

// isRoot says whether the credentials are of the account's owner, who may do
// everything and cannot be restricted.
func (a account) isRoot() bool { return strings.HasSuffix(a.Arn, ":root") }

// defaultRegion is the one with the lowest prices.
const defaultRegion = "us-east-1"

// signIn finds out which account and region this is about.
func (c *cloud) signIn(ctx context.Context) error {
	if c.region == "" {
		c.region = c.configuredRegion(ctx)
	}
	if err := c.aws(ctx, &c.account, "sts", "get-caller-identity"); err != nil {
		return err
	}
	c.good("Account %s, as %s, region %s, stack %s", c.account.ID, c.account.who(), c.region, c.stack)
	if c.account.isRoot() {
		c.note("These are the account's root credentials. They work; an administrator's role is safer.")
	}
	return nil
}

// configuredRegion is the environment's region, or the profile's. The command
// line prints that bare, and fails if there is none.
func (c *cloud) configuredRegion(ctx context.Context) string {
	if region := cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")); region != "" && c.profile == "" {
		return region
	}
	b, err := c.run(ctx, call{name: c.awsPath, args: []string{"configure", "get", "region"}, env: c.env()})
	if region := strings.TrimSpace(string(b)); err == nil && regionName.MatchString(region) {
		return region
	}
	return defaultRegion
}

// regionEnabled refuses a region that the account has not switched on.
func (c *cloud) regionEnabled(ctx context.Context) error {
	var answer struct {
		Regions []struct{ OptInStatus string }
	}
	err := c.global(ctx, &answer, "ec2", "describe-regions", "--all-regions", "--region-names", c.region)
	if err != nil {
		return err
	}
	if len(answer.Regions) == 1 && answer.Regions[0].OptInStatus == "not-opted-in" {
		return advise(c.fill("Enable it and wait some minutes:\n  aws account enable-region --region-name {region}\nor take another, such as REGION=eu-central-1."),
			"region %s is not enabled for the account", c.region)
	}
	return nil
}
