package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sourceOf is a release of which the Makefile is this tree's.
func sourceOf(t *testing.T) *release {
	t.Helper()
	r := &release{work: t.TempDir()}
	text, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(r.source(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.source(), "Makefile"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// A release has each command for a deployment, but publish, which builds.
func TestAReleaseHasTheCommandsOfTheClone(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../cmd/cloud/main.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, found := range regexp.MustCompile(`(?m)^\t\{"([a-z]+)", "`).FindAllStringSubmatch(string(text), -1) {
		if found[1] != "publish" {
			want = append(want, found[1])
		}
	}
	if got := strings.Fields(cloudCommands); len(want) < 9 || !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What stands on the command line reaches the program; what else is in the environment by those names does not.
func TestAReleasesMakefileHandsOnWhatWasChosen(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("make")
	if err != nil {
		t.Skip(err)
	}
	text, err := sourceOf(t).makefile()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"Makefile": string(text), "bin/cloud": "#!/bin/sh\necho \"$*\"\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for want, args := range map[string][]string{
		"fronts": {"fronts"},
		"fronts --region=eu-central-1 --withdraw=one.example 2":     {"fronts", "WITHDRAW=one.example 2", "REGION=eu-central-1"},
		"fronts --users=1-50 --front=wss://two.example/;sni=none 3": {"fronts", "FRONT=wss://two.example/;sni=none 3", "USERS=1-50"},
		"fronts --remove=1-50":    {"fronts", "REMOVE=1-50"},
		"fronts --renew=0":        {"fronts", "RENEW=0"},
		"link --user=7 --front=2": {"link", "USER=7", "FRONT=2"},
	} {
		cmd := exec.Command(program, append([]string{"--no-print-directory"}, args...)...)
		cmd.Dir, cmd.Env = folder, append(plain(), "WITHDRAW=other", "REMOVE=other", "RENEW=other", "USER=other", "FILE=other", "SECRET=other")
		if got, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("%q: got %s and %v, want %s", args, got, err, want)
		}
	}
}

// In a clone "make fronts" is also for lists without AWS, whose files are those on the command line alone.
func TestFrontsWithoutAWSAreThoseOfTheCommandLine(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("make")
	if err != nil {
		t.Skip(err)
	}
	for want, args := range map[string][]string{
		"bin/cloud fronts --withdraw='one.example'": {"WITHDRAW=one.example"},
		"bin/culvert link fronts publish --secret-file 'secret' --file 'lists' --front 'wss://two.example/' --withdraw 'one.example' --users '1-50'": {
			"SECRET=secret", "FILE=lists", "FRONT=wss://two.example/", "WITHDRAW=one.example", "USERS=1-50"},
		"bin/culvert link fronts show --secret-file 'secret' --file 'lists'": {"SECRET=secret", "FILE=lists"},
	} {
		cmd := exec.Command(program, append([]string{"--no-print-directory", "--dry-run", "fronts"}, args...)...)
		cmd.Dir, cmd.Env = "../..", append(plain(), "SECRET=other", "FILE=other", "USERS=other")
		got, err := cmd.Output()
		if said := strings.Join(strings.Fields(string(got)), " "); err != nil || !strings.HasSuffix(said, want) {
			t.Errorf("%q: got %s and %v, want %s", args, said, err, want)
		}
	}
}
