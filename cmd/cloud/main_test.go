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
	c, r, said := testCloud(t, map[string][]string{"python3": {"3.10\n"}})
	c.look = func(name string) (string, bool) { return name, name != "sam" }
	if err := c.needTools(t.Context(), false); err != nil {
		t.Errorf("got %v where SAM's is not needed, want no error", err)
	}
	c.report(c.needTools(t.Context(), true))
	awstest.WantSaid(t, said.String(), "command line is missing", "YES=1")
	if len(r.Calls) != 1 {
		t.Errorf("ran %q, want Python's version asked and nothing installed", r.Asked(""))
	}
}

func TestAPythonThatCannotInstallThemIsNamedWithTheWayToAnother(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		found        bool
		says, reason string
	}{
		"none":             {false, "", "so is Python"},
		"Apple's":          {true, "3.9\n", "too old to install them: 3.9"},
		"of another age":   {true, "2.7\n", "too old to install them: 2.7"},
		"Apple's stand-in": {true, "!xcode-select: note: no developer tools were found", "does not run"},
		"no Python at all": {true, "hello\n", "too old to install them: hello"},
	} {
		cloud, r, said := testCloud(t, map[string][]string{"python3": {c.says}})
		cloud.yes = true
		cloud.look = func(name string) (string, bool) { return name, name == "python3" && c.found }
		cloud.report(cloud.needTools(t.Context(), true))
		text := strings.Join(strings.Fields(said.String()), " ")
		if !strings.Contains(text, c.reason) || !strings.Contains(text, "python.org") || len(r.Calls) > 1 {
			t.Errorf("%s: got %q and %d programs run, want %q, a way out and nothing installed", name, text, len(r.Calls), c.reason)
		}
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
	p.Run(t.Context(), []string{"fronts", "--help"}, &one, &one) // which has flags of its own
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
