package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// cloud is a stack in a region of an account, and the programs to reach it.
type cloud struct {
	options
	runner
	*console
	tools
	look    func(name string) (path string, found bool) // for a command line
	account account
}

// callLimit is for one question to AWS; its command line tries some times.
const callLimit = 2 * time.Minute

// env makes the command lines ask the region and profile that were chosen,
// never page, and never report to their makers.
func (c *cloud) env() []string {
	env := []string{"AWS_PAGER=", "AWS_CLI_AUTO_PROMPT=off", "AWS_RETRY_MODE=standard", "SAM_CLI_TELEMETRY=0"}
	if c.region != "" {
		env = append(env, "AWS_REGION="+c.region, "AWS_DEFAULT_REGION="+c.region)
	}
	if arch := c.given["Architecture"]; arch != "" {
		env = append(env, "ARCH="+arch) // the Makefile builds for it
	}
	if c.profile != "" {
		env = append(env, "AWS_PROFILE="+c.profile)
	}
	return env
}

// aws puts the answer of an aws command into out, unless that is nil.
func (c *cloud) aws(ctx context.Context, out any, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	args = append(args, "--output", "json", "--cli-connect-timeout", "10")
	b, err := c.run(ctx, call{name: c.awsPath, args: args, env: c.env()})
	if err != nil || out == nil || len(b) == 0 {
		return err
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s: read its answer: %w", describe(call{name: "aws", args: args}), err)
	}
	return nil
}

// global is aws in the region where AWS keeps what belongs to no region.
func (c *cloud) global(ctx context.Context, out any, args ...string) error {
	return c.aws(ctx, out, append(args, "--region", "us-east-1")...)
}
