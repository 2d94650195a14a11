package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/internal/aws"
	"culvert/test/awstest"
)

const listed = "# Lists of fronts\nall AAAA\n"

// frontsAnswers are of a stack that was rotated, with lists in its parameter.
func frontsAnswers(there string) map[string][]string {
	stack := strings.Replace(outputs, `{"OutputKey": "GateSecret"`, `{"OutputKey": "MasterSecrets", "OutputValue": "arn:new arn:old"},
    {"OutputKey": "FrontsParameter", "OutputValue": "/culvert/culvert/fronts"}, {"OutputKey": "GateSecret"`, 1)
	return map[string][]string{
		"aws sts get-caller-identity":         {`{"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/me"}`},
		"aws cloudformation describe-stacks":  {stack},
		"aws secretsmanager get-secret-value": {"the-new-secret\n", "the-old-secret\n"},
		"aws ssm get-parameter":               {`{"Parameter": {"Value": "` + there + `"}}`},
		"aws ssm put-parameter":               {"{}"},
		"culvert link fronts":                 {listed, "Users all: list 1\n"},
	}
}

// argument is what follows a flag among args; empty: it is not there.
func argument(args []string, flag string) string {
	if i := slices.Index(args, flag); i >= 0 && i+1 < len(args) {
		return args[i+1]
	}
	return ""
}

func TestFrontsAreSignedByAllSecretsAndPutWhereOriginsLook(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		frontNews
		want string
	}{
		{frontNews{publish: "wss://two.example/ 2", withdraw: "1", users: "1-50,77"},
			"link fronts publish --front wss://two.example/ --front wss://d2.cloudfront.net/ --withdraw d1.cloudfront.net --users 1-50,77 --drop-others --secret-file /dev/fd/3 --file -"},
		{frontNews{withdraw: "one.example 2"}, "link fronts withdraw --withdraw one.example --withdraw d2.cloudfront.net --drop-others --secret-file /dev/fd/3 --file -"},
		{frontNews{remove: "1-50"}, "link fronts remove --users 1-50 --drop-others --secret-file /dev/fd/3 --file -"},
		{frontNews{renew: "0"}, "link fronts renew --days 0 --drop-others --secret-file /dev/fd/3 --file -"},
		{frontNews{renew: "365"}, "link fronts renew --days 365 --drop-others --secret-file /dev/fd/3 --file -"},
	} {
		c, r, said := testCloud(t, frontsAnswers("all BBBB"))
		c.frontNews = one.frontNews
		if err := tellFronts(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(r.Calls, func(c aws.Call) bool { return c.Name == "culvert" || strings.HasSuffix(c.Name, "/culvert") })
		asked, put := r.Calls[at], r.Calls[at+1]
		if got := strings.Join(asked.Args, " "); got != one.want || asked.Stdin != "all BBBB" {
			t.Errorf("got %q of %q, want %q", got, asked.Stdin, one.want)
		}
		if argument(put.Args, "--value") != strings.TrimSpace(listed) || argument(put.Args, "--name") != "/culvert/culvert/fronts" {
			t.Errorf("put %q", put.Args)
		}
		if argument(put.Args, "--tier") != "Intelligent-Tiering" {
			t.Errorf("got %q, want a parameter that may hold more than 4 KB", put.Args)
		}
		awstest.WantSaid(t, said.String(), "Users all: list 1", "within some minutes")
		if strings.Contains(said.String(), "-secret") {
			t.Errorf("a secret was said:\n%s", said)
		}
	}
}

// The secrets reach "culvert link fronts" by a pipe, the newest first. They are cleared afterwards, so it is
// asked for them while it runs.
func TestTheSecretsOfListsAreInNoArgument(t *testing.T) {
	t.Parallel()
	c, r, _ := testCloud(t, frontsAnswers("none"))
	s, err := c.Describe(t.Context(), "culvert")
	if err != nil {
		t.Fatal(err)
	}
	l, err := c.lists(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	call := l.call("publish")
	if want := []byte("the-new-secret\nthe-old-secret\n"); len(call.Secrets) != 1 || !bytes.Equal(call.Secrets[0], want) || call.Stdin != "" {
		t.Errorf("got %q and %q, want %q and no lists", call.Secrets, call.Stdin, want)
	}
	for _, made := range append(r.Calls, call) {
		if all := strings.Join(append(append(made.Args, made.Env...), made.Stdin), " "); strings.Contains(all, "-secret\n") || strings.Contains(all, "the-") {
			t.Errorf("a secret is in what %s is given: %s", aws.Describe(made), all)
		}
	}
}

func TestFrontsAreShownWhereNothingIsToChange(t *testing.T) {
	t.Parallel()
	answers := frontsAnswers("all BBBB")
	answers["culvert link fronts"] = []string{"Users all: list 1\n"}
	c, r, said := testCloud(t, answers)
	if err := tellFronts(t.Context(), c); err != nil || len(r.Asked("aws ssm put")) > 0 {
		t.Errorf("got %v and %q", err, r.Asked("aws ssm put"))
	}
	awstest.WantSaid(t, said.String(), "Users all: list 1")
}

func TestWhatCannotBeToldChangesNothing(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct {
		frontNews
		change func(map[string][]string)
		want   string
	}{
		"a distribution that is not there": {frontNews{publish: "5"}, func(map[string][]string) {}, "no front 5"},
		"a stack of before":                {frontNews{publish: "2"}, func(a map[string][]string) { a["aws cloudformation describe-stacks"] = []string{outputs} }, "no place for lists"},
		"no front":                         {frontNews{publish: "x"}, func(a map[string][]string) { a["culvert link fronts"] = []string{"!link fronts publish: --front"} }, "stay as they are"},
		"more than AWS keeps": {frontNews{publish: "2"}, func(a map[string][]string) {
			a["culvert link fronts"] = []string{strings.Repeat("x", maxFronts+1)}
		}, "AWS keeps 8192"},
	} {
		answers := frontsAnswers("none")
		one.change(answers)
		c, r, _ := testCloud(t, answers)
		c.frontNews = one.frontNews
		if err := tellFronts(t.Context(), c); err == nil || !strings.Contains(err.Error(), one.want) || len(r.Asked("aws ssm put")) > 0 {
			t.Errorf("%s: got %v and %q, want %q and nothing written", name, err, r.Asked("aws ssm put"), one.want)
		}
	}
}

func TestWhatFrontsIsToDoIsOneThing(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--renew", "5", "--remove", "1"},
		{"--front", "2", "--renew", "5"},
		{"--users", "1-50"},
	} {
		if _, err := parse("fronts", "", args, &bytes.Buffer{}); err == nil {
			t.Errorf("%q: got no error", args)
		}
	}
	if _, err := parse("fronts", "", []string{"--front", "wss://two.example/ 2", "--withdraw", "one.example", "--users", "1-50,77"}, &bytes.Buffer{}); err != nil {
		t.Error(err)
	}
}

// After a rotation both secrets' links are good, and hear of the same fronts.
func TestARotationHasTheListsSignedAnew(t *testing.T) {
	t.Parallel()
	c, r, _ := testCloud(t, frontsAnswers("all BBBB"))
	if err := c.signAnew(t.Context()); err != nil {
		t.Fatal(err)
	}
	args := strings.Join(r.Calls[len(r.Calls)-2].Args, " ")
	if want := "link fronts renew --days 0 --drop-others --secret-file /dev/fd/3 --file -"; args != want || len(r.Asked("aws ssm put")) != 1 {
		t.Errorf("got %q, want %q, and that put", args, want)
	}
	c, r, _ = testCloud(t, frontsAnswers("none"))
	if err := c.signAnew(t.Context()); err != nil || len(r.Asked("culvert")) > 0 {
		t.Errorf("got %v and %q where there are no lists", err, r.Asked("culvert"))
	}
}

// realLists are answered by the real "culvert link fronts", and all else by what is recorded.
type realLists struct {
	*awstest.Recorded
	culvert string
}

func (r realLists) Run(ctx context.Context, c aws.Call) ([]byte, error) {
	if filepath.Base(c.Name) != "culvert" {
		return r.Recorded.Run(ctx, c)
	}
	c.Name = r.culvert
	return aws.Programs{}.Run(ctx, c)
}

// After two rotations of which the second did not have the lists signed anew, one secret that signed them is void:
// each command goes on all the same, and what its links were told goes.
func TestListsOfAVoidSecretDoNotStandInTheWay(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("secrets are handed over as /dev/fd/3")
	}
	program := filepath.Join(t.TempDir(), "culvert")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "culvert/cmd/culvert").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	secrets := map[string]string{}
	for _, name := range []string{"void", "old", "new"} {
		secrets[name] = strings.Repeat(name[:1], 64) + "\n"
	}
	before, err := aws.Programs{}.Run(t.Context(), aws.Call{Name: program, Secrets: [][]byte{[]byte(secrets["old"] + secrets["void"])},
		Args: []string{"link", "fronts", "publish", "--front", "wss://one.example/", "--days", "9", "--secret-file", aws.SecretFile(0), "--file", "-"}})
	if err != nil {
		t.Fatal(err)
	}
	parameter := func(lists string) string {
		text, err := json.Marshal(map[string]any{"Parameter": map[string]string{"Value": lists}})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	holds := "until " + time.Now().UTC().Add(9*24*time.Hour).Format(time.DateOnly)
	for name, one := range map[string]struct {
		frontNews
		says   []string
		signed int
	}{
		"sign anew": {frontNews{renew: "0"}, []string{holds, "wss://one.example/"}, 2},
		"publish":   {frontNews{publish: "wss://two.example/"}, []string{"wss://two.example/"}, 2},
		"withdraw":  {frontNews{withdraw: "one.example"}, []string{"withdrawn 1"}, 2},
		"remove":    {frontNews{remove: "all"}, []string{"Nobody is told"}, 0},
	} {
		answers := frontsAnswers("")
		answers["aws ssm get-parameter"] = []string{parameter(string(before))}
		answers["aws secretsmanager get-secret-value"] = []string{secrets["new"], secrets["old"]}
		c, r, said := testCloud(t, answers)
		c.Runner, c.frontNews = realLists{r, program}, one.frontNews
		if err := tellFronts(t.Context(), c); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		awstest.WantSaid(t, said.String(), one.says...)
		put := slices.IndexFunc(r.Calls, func(c aws.Call) bool { return slices.Contains(c.Args, "put-parameter") })
		value := argument(r.Calls[put].Args, "--value")
		if signed := strings.Count(value, "\nall "); signed != one.signed {
			t.Errorf("%s: put %q, want %d lists, signed by both secrets", name, value, one.signed)
		}
	}
}
