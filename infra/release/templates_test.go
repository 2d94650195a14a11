package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"culvert/test/cloud/cloudformation"
)

// packed packs the templates of this tree, for archives of no content, and gives the root and what it takes from a
// bucket, each file where the file system has its address in place of the web's.
func packed(t *testing.T) (root, bucket string) {
	t.Helper()
	home := t.TempDir()
	bucket = filepath.Join(home, "https:", "bucket.s3.us-east-1.amazonaws.com", "culvert")
	if err := os.MkdirAll(bucket, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(home, "https:"), filepath.Join(bucket, "https:")); err != nil {
		t.Skip(err) // Windows
	}
	names := uploads{}
	for _, arch := range architectures {
		names[arch] = map[string]string{}
		for _, resource := range append(functionResources(), layer) {
			names[arch][resource] = resource + "-" + arch + ".zip"
		}
	}
	text, err := packer{artefacts: artefacts{bucket}, uploads: names, done: map[string]nested{}}.root("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	root = filepath.Join(home, "template.yaml")
	if err := os.WriteFile(root, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return root, bucket
}

// A packed deployment is the same as one of the clone, but for where its code comes from and for the checksum that its
// machines compare.
func TestPackedTemplatesMakeTheSameDeployment(t *testing.T) {
	t.Parallel()
	root, _ := packed(t)
	for _, c := range []map[string]any{
		{}, {"SoloInstance": "b", "Architecture": "x86_64"}, {"Topology": "fleet", "Distributions": "8", "Generation": "2"},
	} {
		want, err := cloudformation.Render("../../template.yaml", "culvert", "us-east-1", c)
		if err != nil {
			t.Fatal(err)
		}
		withBucket := maps.Clone(c)
		withBucket["Artifacts"] = "bucket"
		got, err := cloudformation.Render(root, "culvert", "us-east-1", withBucket)
		if err != nil {
			t.Fatal(err)
		}
		all, other := got.All(), want.All()
		if len(all) != len(other) {
			t.Fatalf("%v: got %d resources, want %d", c, len(all), len(other))
		}
		for i, r := range all {
			if a, b := withoutPacking(t, r), withoutPacking(t, other[i]); a != b {
				t.Errorf("%v: %s: got %.2000s, want %.2000s", c, r, a, b)
			}
		}
	}
}

// withoutPacking is a resource as text, without what packing changes.
func withoutPacking(t *testing.T, r cloudformation.Resource) string {
	t.Helper()
	properties := maps.Clone(r.Properties)
	for _, key := range []string{"CodeUri", "ContentUri", "TemplateURL"} {
		delete(properties, key)
	}
	if inner := maps.Clone(cloudformation.Object(properties["Parameters"])); inner != nil {
		delete(inner, "Artifacts")
		delete(inner, "LayerSum")
		properties["Parameters"] = inner
	}
	text, err := json.Marshal(map[string]any{"Name": r.Name, "Type": r.Kind, "Properties": properties})
	if err != nil {
		t.Fatal(err)
	}
	if script, ok := cloudformation.At(properties, "LaunchTemplateData", "UserData").(string); ok {
		plain, err := base64.StdEncoding.DecodeString(script)
		if err != nil {
			t.Fatal(err)
		}
		text = []byte(strings.Replace(string(text), script, string(plain), 1))
	}
	for _, arch := range architectures {
		sum := layer + "-" + arch
		text = []byte(strings.ReplaceAll(string(text), `CULVERT_LAYER_SUM=`+sum, `CULVERT_LAYER_SUM=`))
	}
	return string(text)
}

func TestPackedMachinesKnowTheirLayersChecksum(t *testing.T) {
	t.Parallel()
	root, _ := packed(t)
	for topology, kind := range map[string]string{"solo": "AWS::SSM::Document", "fleet": "AWS::CloudFormation::Stack"} {
		s, err := cloudformation.Render(root, "culvert", "us-east-1", map[string]any{"Artifacts": "bucket", "Topology": topology, "Architecture": "x86_64"})
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, r := range s.Of(kind) {
			text, err := json.Marshal(r.Properties)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(text), "OriginLayer-x86_64") && !strings.Contains(string(text), "OriginLayer-x86_64.zip")
		}
		if !found {
			t.Errorf("%s: the layer's checksum is nowhere in a %s", topology, kind)
		}
		for _, r := range s.Of("AWS::Serverless::Function") {
			if got := cloudformation.At(r.Properties, "CodeUri", "Key"); got != under+r.Name+"-x86_64.zip" {
				t.Errorf("%s: got %v for its code", r, got)
			}
		}
	}
}

func TestPackedTemplatesAreNamedByTheirContentAndSmallEnough(t *testing.T) {
	t.Parallel()
	root, bucket := packed(t)
	all, err := filepath.Glob(filepath.Join(bucket, "*.yaml"))
	if err != nil || len(all) < 8 {
		t.Fatalf("got %d templates and %v, want all that are nested", len(all), err)
	}
	for _, path := range append(all, root) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) >= 51200 {
			t.Errorf("%s has %d bytes, want fewer than 51,200, CloudFormation's limit", path, len(data))
		}
		if name := fmt.Sprintf("%x.yaml", sha256.Sum256(data)); path != root && filepath.Base(path) != name {
			t.Errorf("got %s, want %s", path, name)
		}
	}
}

func TestABucketWithADotIsRefused(t *testing.T) {
	t.Parallel()
	root, _ := packed(t)
	for _, bucket := range []string{"", "a.b.c", "Bucket", "bucket/", "-bucket"} {
		if _, err := cloudformation.Render(root, "culvert", "us-east-1", map[string]any{"Artifacts": bucket}); err == nil || !strings.Contains(err.Error(), "without dots") {
			t.Errorf("%q: got %v, want a refusal", bucket, err)
		}
	}
}

// The release's make hands on the same choices as the clone's.
func TestTheReleasesMakefileHasTheCommands(t *testing.T) {
	t.Parallel()
	r := release{work: t.TempDir()}
	if err := os.Symlink(mustAbs(t, "../.."), r.source()); err != nil {
		t.Skip(err) // Windows
	}
	text, err := r.makefile()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.work, "Makefile"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	for target := range strings.FieldsSeq(cloudCommands) {
		got, err := output(r.work, "make", "--no-print-directory", "-n", target, "USER=7", "SET=A=1 B=2")
		if err != nil || !strings.HasPrefix(got, "bin/cloud "+target+" ") || !strings.Contains(got, "--set='A=1 B=2'") || !strings.Contains(got, "--user='7'") {
			t.Errorf("%s: got %q and %v", target, got, err)
		}
	}
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}
