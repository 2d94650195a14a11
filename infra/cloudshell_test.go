package infra

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What stands behind the line is in any order, as it is for make: a word that came second would deploy first.
func TestCloudShellDeploysOnlyWithoutAWord(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	script, err := os.ReadFile("cloudshell")
	if err != nil {
		t.Fatal(err)
	}
	release, programs := t.TempDir(), t.TempDir()
	for _, folder := range []string{"bin", "artifacts"} {
		if err := os.Mkdir(filepath.Join(release, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		filepath.Join(release, "cloudshell"): string(script), filepath.Join(release, "bin/cloud"): "",
		filepath.Join(programs, "make"): "#!/bin/sh\nshift\necho \"$*\"\n", filepath.Join(programs, "aws"): "#!/bin/sh\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for args, want := range map[string]string{
		"":                                "deploy",
		"REGION=eu-central-1":             "deploy REGION=eu-central-1",
		"REGION=eu-central-1 BUDGET=9":    "deploy REGION=eu-central-1 BUDGET=9",
		"status REGION=eu-central-1":      "status REGION=eu-central-1",
		"REGION=eu-central-1 status":      "REGION=eu-central-1 status",
		"USER=7 revoke STACK=other YES=1": "USER=7 revoke STACK=other YES=1",
	} {
		cmd := exec.Command(bash, append([]string{filepath.Join(release, "cloudshell")}, strings.Fields(args)...)...)
		cmd.Env = append(os.Environ(), "PATH="+programs+string(os.PathListSeparator)+os.Getenv("PATH"))
		if got, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("%q: got %s and %v, want %s", args, got, err, want)
		}
	}
}
