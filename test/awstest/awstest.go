// Package awstest answers programs in tests.
package awstest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"culvert/internal/aws"
)

// Recorded answers programs by what aws.Describe says of them, with the name
// of a stack after it where there is an answer for that one alone: the first
// answer first, the last for ever. An answer that begins with "!" is what a
// program says that fails. A call without an answer fails the test. One
// goroutine may use it at a time.
type Recorded struct {
	T       *testing.T
	Answers map[string][]string
	Calls   []aws.Call // all that were made, the oldest first
}

// Run answers c.
func (r *Recorded) Run(ctx context.Context, c aws.Call) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	r.Calls = append(r.Calls, c)
	key := aws.Describe(c)
	if i := slices.Index(c.Args, "--stack-name"); i >= 0 && r.Answers[key+" "+c.Args[i+1]] != nil {
		key += " " + c.Args[i+1]
	}
	all := r.Answers[key]
	if len(all) == 0 {
		r.T.Errorf("nobody expected %q", key)
		return nil, errors.New("no answer is recorded")
	}
	if len(all) > 1 {
		r.Answers[key] = all[1:]
	}
	if said, failed := strings.CutPrefix(all[0], "!"); failed {
		return nil, &aws.Failure{What: key, Said: said, Err: errors.New("exit status 254")}
	}
	if c.Show != nil {
		c.Show.Write([]byte(all[0]))
	}
	return []byte(all[0]), nil
}

// Asked lists the calls that aws.Describe says begin so, without that beginning.
func (r *Recorded) Asked(begin string) (all []string) {
	for _, c := range r.Calls {
		if rest, ok := strings.CutPrefix(aws.Describe(c), begin); ok {
			all = append(all, rest)
		}
	}
	return all
}

// NoStack is an answer for the stack culvert, which is not there.
const NoStack = "!An error occurred (ValidationError) when calling the DescribeStacks operation: Stack with id culvert does not exist"

// InState is the answer of describe-stacks for the stack culvert.
func InState(status string) string {
	return `{"Stacks": [{"StackId": "arn:root", "StackName": "culvert", "StackStatus": "` + status + `"}]}`
}

// WantSaid fails the test for each of all that is not in said; line breaks
// count as spaces.
func WantSaid(t *testing.T, said string, all ...string) {
	t.Helper()
	text := strings.Join(strings.Fields(said), " ")
	for _, want := range all {
		if !strings.Contains(text, want) {
			t.Errorf("does not say %q:\n%s", want, said)
		}
	}
}
