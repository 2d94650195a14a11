// Package aws runs other people's programs, above all the AWS command line, and
// reads its answers.
package aws

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Target is the deployment that a command is about.
type Target struct {
	Profile string // of the AWS configuration; empty: the default one
	Region  string // empty: not known yet
	Stack   string // the deployment's name
}

// Fill puts the target's values in the places {profile}, {region} and {stack}
// of a text, such as a command that is shown.
func (t Target) Fill(s string) string {
	return strings.NewReplacer("{profile}", cmp.Or(t.Profile, "default"), "{region}", t.Region, "{stack}", t.Stack).Replace(s)
}

// CLI is the AWS command line. Its Target may be changed between two calls.
type CLI struct {
	Runner
	*Target
	Path string // of the program
}

// Limit is the time for one question to AWS, whose command line tries it some
// times by itself.
const Limit = 2 * time.Minute

// Env makes AWS's command lines ask the region and profile of the target, never
// page, and never ask back.
func (c *CLI) Env() []string {
	env := []string{"AWS_PAGER=", "AWS_CLI_AUTO_PROMPT=off", "AWS_RETRY_MODE=standard"}
	if c.Region != "" {
		env = append(env, "AWS_REGION="+c.Region, "AWS_DEFAULT_REGION="+c.Region)
	}
	if c.Profile != "" {
		env = append(env, "AWS_PROFILE="+c.Profile)
	}
	return env
}

// Answer returns what an aws command prints.
func (c *CLI) Answer(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	return c.Within(ctx, args...)
}

// Within is Answer for what may take longer: until ctx ends.
func (c *CLI) Within(ctx context.Context, args ...string) ([]byte, error) {
	return c.Run(ctx, Call{Name: c.Path, Args: args, Env: c.Env()})
}

// Call reads the JSON that an aws command prints into out, unless out is nil.
func (c *CLI) Call(ctx context.Context, out any, args ...string) error {
	b, err := c.Answer(ctx, append(args, "--output", "json", "--cli-connect-timeout", "10")...)
	if err != nil || out == nil || len(b) == 0 {
		return err
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s: read its answer: %w", Describe(Call{Name: "aws", Args: args}), err)
	}
	return nil
}

// CallGlobal is Call in the region where AWS keeps what belongs to no region.
func (c *CLI) CallGlobal(ctx context.Context, out any, args ...string) error {
	return c.Call(ctx, out, append(args, "--region", "us-east-1")...)
}

// Pause waits for d, or until ctx ends, and returns the error of that.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
