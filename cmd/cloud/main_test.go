package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"culvert/internal/term"
	"culvert/test/awstest"
)

// testCloud is a deployment culvert in us-east-1, and what it says.
func testCloud(t *testing.T, answers map[string][]string) (*cloud, *awstest.Recorded, *bytes.Buffer) {
	t.Helper()
	o, err := parse("test", "", []string{"--region", "us-east-1"}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	r, said := &awstest.Recorded{T: t, Answers: answers}, &bytes.Buffer{}
	c := newCloud(o, r, term.NewTestConsole(said, false))
	c.Path, c.tools, c.account = "aws", tools{"sam", "culvert", installed}, account{ID: "123456789012"}
	return c, r, said
}

func installed(name string) (string, bool) { return name, true }

func TestMissingCommandLinesAreOfferedAndNotInstalledUnasked(t *testing.T) {
	t.Parallel()
	c, r, said := testCloud(t, nil)
	c.look = func(name string) (string, bool) { return "", name == "aws" }
	if err := c.needTools(t.Context(), false); err != nil {
		t.Errorf("got %v where SAM's is not needed, want no error", err)
	}
	c.report(c.needTools(t.Context(), true))
	awstest.WantSaid(t, said.String(), "command line")
	if len(r.Calls) > 0 {
		t.Errorf("ran %q unasked", r.Asked(""))
	}
}

func TestCtrlCSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, one := range stories {
		var said bytes.Buffer
		if code := program(&awstest.Recorded{T: t}).Run(ctx, []string{one.name, "--template", "main_test.go"}, &said, &said); code != 130 {
			t.Errorf("%s: got exit code %d, want 130: %s", one.name, code, &said)
		}
		awstest.WantSaid(t, said.String(), "Interrupted.")
	}
}

func TestNoCommandPrintsTheTargets(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	if code := program(&awstest.Recorded{T: t}).Run(t.Context(), nil, &said, &said); code != 2 {
		t.Errorf("got exit code %d, want 2", code)
	}
	awstest.WantSaid(t, said.String(), "deploy", "destroy", "YES=1")
}

func TestTheHelpNamesEveryVariableOfTheMakefileAndAnExample(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var all, one bytes.Buffer
	p := program(&awstest.Recorded{T: t})
	p.Run(t.Context(), []string{"--help"}, &all, &all)
	p.Run(t.Context(), []string{"deploy", "--help"}, &one, &one)
	awstest.WantSaid(t, one.String(), "Example:")
	given := regexp.MustCompile(`call given\w*,([A-Z]+),([a-z]+)\)`).FindAllStringSubmatch(string(makefile), -1)
	if len(given) < 10 {
		t.Errorf("got %d variables in the Makefile, want all", len(given))
	}
	for _, m := range given {
		if !regexp.MustCompile(`\b` + m[1] + `\b`).MatchString(all.String()) {
			t.Errorf("the help does not name %s", m[1])
		}
		awstest.WantSaid(t, one.String(), "--"+m[2]+" ")
	}
}

func TestCommandsThatAreShownAreThoseOfTheFolderWhereThereIsNoOther(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"/usr/bin/aws": " aws configure\n", ".venv-cloud/bin/aws": " .venv-cloud/bin/aws configure\n"} {
		c, _, said := testCloud(t, nil)
		c.Path = path
		c.report(errors.New("Unable to locate credentials"))
		if !strings.Contains(said.String(), want) || !strings.Contains(said.String(), " aws configure sso\n") {
			t.Errorf("%s: got %s, want %q", path, said, want)
		}
	}
}
