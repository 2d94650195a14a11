package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"culvert/test/awstest"
)

// releaseFolder is an unpacked release with one artefact, and the path of that.
func releaseFolder(t *testing.T) (folder, artefact string) {
	t.Helper()
	folder = t.TempDir()
	artefact = filepath.Join(folder, artifacts, fmt.Sprintf("%x.zip", sha256.Sum256([]byte("code"))))
	if err := os.Mkdir(filepath.Dir(artefact), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{artefact: "code", filepath.Join(folder, "template.yaml"): "Resources: {}"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder, artefact
}

func TestAReleaseIsUploadedAndNothingIsBuilt(t *testing.T) {
	t.Parallel()
	folder, _ := releaseFolder(t)
	c, r, _ := testCloud(t, map[string][]string{"aws s3api head-bucket": {""}, "aws s3api put-public-access-block": {""}, "aws s3 sync": {""}})
	c.template = filepath.Join(folder, "template.yaml")
	template, err := c.upload(t.Context())
	if err != nil || template != c.template || c.given["Artifacts"] != c.bucket() {
		t.Errorf("got template %q, bucket %q and %v", template, c.given["Artifacts"], err)
	}
	last := strings.Join(r.Calls[len(r.Calls)-1].Args, " ")
	if want := "s3 sync " + filepath.Join(folder, artifacts) + " s3://" + c.bucket() + "/culvert/"; !strings.HasPrefix(last, want) {
		t.Errorf("got %q, want %q", last, want)
	}
}

func TestADamagedReleaseIsRefusedBeforeAnythingIsUploaded(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(artefact string) error{
		"damaged": func(a string) error { return os.WriteFile(a, []byte("cod"), 0o600) },
		"empty":   os.Remove,
	} {
		folder, artefact := releaseFolder(t)
		if err := damage(artefact); err != nil {
			t.Fatal(err)
		}
		c, r, said := testCloud(t, nil)
		c.template = filepath.Join(folder, "template.yaml")
		_, err := c.upload(t.Context())
		c.report(err)
		awstest.WantSaid(t, said.String(), name, "Fetch the release once more")
		if len(r.Calls) > 0 {
			t.Errorf("%s: ran %q, want nothing", name, r.Asked(""))
		}
	}
}

// A release needs AWS's command line and neither SAM's nor Python.
func TestAReleaseNeedsNoSAM(t *testing.T) {
	t.Parallel()
	folder, _ := releaseFolder(t)
	c, _, said := testCloud(t, nil)
	c.template, c.yes = filepath.Join(folder, "template.yaml"), true
	c.look = func(name string) (string, bool) { return name, name == "aws" }
	if err := c.needTools(t.Context(), !c.released()); err != nil {
		t.Errorf("got %v where AWS's is there, want no error", err)
	}
	c.look = func(name string) (string, bool) { return name, name == "python3" }
	c.report(c.needTools(t.Context(), false))
	awstest.WantSaid(t, said.String(), "The AWS command line is missing", "CloudShell")
}
