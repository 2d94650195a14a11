package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// recorded answers programs by what describe says of them: the first answer
// first, the last for ever. One that begins with "!" is a failure's words.
type recorded struct {
	t       *testing.T
	answers map[string][]string
	calls   []call
}

func (r *recorded) run(ctx context.Context, c call) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	r.calls = append(r.calls, c)
	key := describe(c)
	if i := slices.Index(c.args, "--stack-name"); i >= 0 && r.answers[key+" "+c.args[i+1]] != nil {
		key += " " + c.args[i+1]
	}
	all := r.answers[key]
	if len(all) == 0 {
		r.t.Errorf("nobody expected %q", key)
		return nil, errors.New("no answer is recorded")
	}
	if len(all) > 1 {
		r.answers[key] = all[1:]
	}
	if words, failed := strings.CutPrefix(all[0], "!"); failed {
		return nil, &failure{key, words, errors.New("exit status 254")}
	}
	if c.show != nil {
		c.show.Write([]byte(all[0]))
	}
	return []byte(all[0]), nil
}

// asked lists what was asked for, of those that begin so.
func (r *recorded) asked(begin string) (all []string) {
	for _, c := range r.calls {
		if d := describe(c); strings.HasPrefix(d, begin) {
			all = append(all, strings.TrimPrefix(d, begin))
		}
	}
	return all
}

// testCloud is a deployment culvert in us-east-1, and what it says.
func testCloud(t *testing.T, answers map[string][]string) (*cloud, *recorded, *bytes.Buffer) {
	t.Helper()
	o, err := parse("test", []string{"--region", "us-east-1"}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	r, said := &recorded{t: t, answers: answers}, &bytes.Buffer{}
	return &cloud{options: o, runner: r, console: newConsole(said, false),
		tools: tools{"aws", "sam", "culvert"}, look: installed, account: account{ID: "123456789012"}}, r, said
}

func installed(name string) (string, bool) { return name, true }

func testdata(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// inState is describe-stacks' answer for a stack.
func inState(status string) string {
	return `{"Stacks": [{"StackId": "arn:root", "StackName": "culvert", "StackStatus": "` + status + `"}]}`
}

const noStack = "!An error occurred (ValidationError) when calling the DescribeStacks operation: Stack with id culvert does not exist"

// wantSaid fails the test for what is not in said; line breaks are spaces.
func wantSaid(t *testing.T, said string, all ...string) {
	t.Helper()
	text := strings.Join(strings.Fields(said), " ")
	for _, want := range all {
		if !strings.Contains(text, want) {
			t.Errorf("does not say %q:\n%s", want, said)
		}
	}
}
