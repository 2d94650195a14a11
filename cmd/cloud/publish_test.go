package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"culvert/internal/aws"
	"culvert/test/awstest"
)

// releaseArchive packs what releaseFolder has, and what is not unpacked again.
func releaseArchive(t *testing.T, damage string) string {
	t.Helper()
	_, artefact := releaseFolder(t)
	name := filepath.Join(t.TempDir(), "culvert-aws_1.2.0-rc.1_linux_amd64.tar.gz")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	packed := gzip.NewWriter(f)
	out := tar.NewWriter(packed)
	for to, content := range map[string]string{
		"template.yaml": "Resources: {}", artifacts + "/" + filepath.Base(artefact): "code" + damage,
		"bin/cloud": "program", "artifacts/../../outside": "outside",
	} {
		if err := out.WriteHeader(&tar.Header{Name: "culvert-aws/" + to, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(out, content); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []io.Closer{out, packed, f} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return name
}

// strangers answer get-object with a file, as the command does.
type strangers struct {
	*awstest.Recorded
	content string
}

func (s strangers) Run(ctx context.Context, c aws.Call) ([]byte, error) {
	out, err := s.Recorded.Run(ctx, c)
	if err == nil && slices.Contains(c.Args, "get-object") {
		err = os.WriteFile(c.Args[len(c.Args)-1], []byte(s.content), 0o600)
	}
	return out, err
}

func publishing(t *testing.T, bucket, archive string, more map[string][]string) (*cloud, *awstest.Recorded, func() string) {
	t.Helper()
	answers := map[string][]string{
		"aws sts get-caller-identity": {`{"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/me"}`},
		"aws s3api head-bucket":       {"!An error occurred (404) when calling the HeadBucket operation: Not Found"},
		"aws s3api create-bucket":     {""}, "aws s3api put-public-access-block": {""}, "aws s3api put-bucket-policy": {""},
		"aws s3 sync": {""}, "aws s3 cp": {""}, "aws s3api get-object": {""},
	}
	for k, v := range more {
		answers[k] = v
	}
	c, r, said := testCloud(t, answers)
	c.Runner = strangers{r, "Resources: {}"}
	c.publicBucket, c.archive, c.yes = bucket, archive, true
	return c, r, said.String
}

func TestPublishFillsABucketAndLooksAsAStranger(t *testing.T) {
	t.Parallel()
	c, r, said := publishing(t, "bucket", releaseArchive(t, ""), nil)
	if err := publish(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	awstest.WantSaid(t, said(), "https://bucket.s3.us-east-1.amazonaws.com/culvert/1.2.0-rc.1/launch.html")
	var policy string
	for _, call := range r.Calls {
		if i := slices.Index(call.Args, "--policy"); i > 0 {
			policy = call.Args[i+1]
		}
		if slices.Contains(call.Args, "get-object") != slices.Contains(call.Args, "--no-sign-request") {
			t.Errorf("got %q, want the template alone asked for without credentials", call.Args)
		}
	}
	if !strings.Contains(policy, `"s3:GetObject"`) || !strings.Contains(policy, `arn:aws:s3:::bucket/culvert/*`) || strings.Contains(policy, "List") {
		t.Errorf("got the policy %s, want the folder readable and nothing listed", policy)
	}
}

func TestABucketThatIsThereKeepsItsSettings(t *testing.T) {
	t.Parallel()
	c, r, said := publishing(t, "bucket", releaseArchive(t, ""), map[string][]string{
		"aws s3api head-bucket": {""}, "aws s3api get-object": {"!An error occurred (AccessDenied) when calling the GetObject operation: Access Denied"}})
	c.report(publish(t.Context(), c))
	awstest.WantSaid(t, said(), "Others may not read", "put-public-access-block --bucket bucket --public-access-block-configuration BlockPublicAcls=true", "RestrictPublicBuckets=false aws s3api put-bucket-policy --bucket bucket")
	if made := r.Asked("aws s3api "); !slices.Equal(made, []string{"head-bucket", "get-object"}) {
		t.Errorf("got %q, want nothing changed but files", made)
	}
}

func TestWhatCannotBePublishedIsRefusedBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct{ bucket, archive string }{
		"no name of a bucket":   {"a.b.c", releaseArchive(t, "")},
		"No archive":            {"bucket", "elsewhere.tar.gz"},
		"is damaged":            {"bucket", releaseArchive(t, "!")},
		"cannot be unpacked":    {"bucket", damagedArchive(t)},
		"Nothing was made":      {"unwanted", releaseArchive(t, "")},
		`"" is no name of a bu`: {"", releaseArchive(t, "")},
	} {
		cloud, r, said := publishing(t, c.bucket, c.archive, nil)
		cloud.yes = c.bucket != "unwanted"
		cloud.report(publish(t.Context(), cloud))
		awstest.WantSaid(t, said(), want)
		for _, made := range r.Asked("aws s3") {
			if made != "api head-bucket" {
				t.Errorf("%s: ran s3%s, want nothing made", want, made)
			}
		}
	}
}

// An archive of a few kilobytes may unpack to gigabytes. One whose templates are missing is no release.
func TestAnArchiveIsUnpackedWithinBounds(t *testing.T) {
	t.Parallel()
	archive := releaseArchive(t, "")
	for most, want := range map[int64]string{
		maxUnpacked: "", 600: "more than 600 bytes", 2048: "more than 2048 bytes",
	} {
		err := untar(archive, t.TempDir(), most)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d: got %v, want %q", most, err, want)
		}
	}
	c, _, _ := publishing(t, "bucket", emptyArchive(t), nil)
	if _, err := c.unpack(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no template.yaml") {
		t.Errorf("got %v, want the template missed", err)
	}
}

// emptyArchive is a release's by its name, with nothing in it.
func emptyArchive(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	if err := errors.Join(tar.NewWriter(packed).Close(), packed.Close()); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "culvert-aws_1.2.0_linux_amd64.tar.gz")
	if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func damagedArchive(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "culvert-aws_1.2.0_linux_amd64.tar.gz")
	if err := os.WriteFile(name, []byte("no gzip"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// The page is one that a browser reads, and its button leads to the console with the template and the bucket.
func TestThePageHasTheButtonAndTheLine(t *testing.T) {
	t.Parallel()
	p := publication{Version: "1.2.0", Bucket: "bucket", Region: "eu-central-1", Sum: strings.Repeat("a", 64)}
	text, err := p.page()
	if err != nil {
		t.Fatal(err)
	}
	document, err := html.Parse(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	var button, lines string
	for n := range document.Descendants() {
		if n.Data == "a" && n.FirstChild.Data == "Launch Stack" {
			for _, a := range n.Attr {
				if a.Key == "href" {
					button = a.Val
				}
			}
		}
		if n.Data == "pre" {
			lines += n.FirstChild.Data + "\n"
		}
	}
	u, err := url.Parse(button)
	if err != nil {
		t.Fatal(err)
	}
	_, query, _ := strings.Cut(u.Fragment, "?")
	asked, err := url.ParseQuery(query)
	if err != nil || u.Host != "eu-central-1.console.aws.amazon.com" || asked.Get("param_Artifacts") != "bucket" ||
		asked.Get("templateURL") != "https://bucket.s3.eu-central-1.amazonaws.com/culvert/1.2.0/template.yaml" {
		t.Errorf("got the button %s and %v", button, err)
	}
	for _, want := range []string{"curl -fsSLO https://bucket.s3.eu-central-1.amazonaws.com/culvert/1.2.0/culvert-aws_1.2.0_linux_amd64.tar.gz &&",
		`echo "` + p.Sum + `  culvert-aws_1.2.0_linux_amd64.tar.gz" | sha256sum -c -`, "cloudshell link USER=1 REGION=eu-central-1"} {
		if !strings.Contains(lines, want) {
			t.Errorf("got the lines %s, want %s in them", lines, want)
		}
	}
}
