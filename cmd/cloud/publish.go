package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"culvert/cmd/cloud/internal/advice"
	"culvert/internal/term"
)

// publish fills a bucket that everybody may read with what a deployment takes
// from one, and with a page that has the button.
func publish(ctx context.Context, c *cloud) error {
	if err := c.begin(ctx, false); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "culvert-publish-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	p, err := c.unpack(work)
	if err != nil {
		return err
	}
	if err := c.needPublicBucket(ctx); err != nil {
		return err
	}
	if err := c.fill(ctx, p); err != nil {
		return err
	}
	if err := c.readByStrangers(ctx, p); err != nil {
		return err
	}
	c.Hint("Everybody may read it. Hand out this page, which has the button, and the line for CloudShell:\n  %s", p.address("launch.html"))
	return nil
}

// publication is a release in a bucket.
type publication struct {
	Version, Bucket, Region, Sum string // of the archive

	archive, work string
}

var (
	archiveName = regexp.MustCompile(`^culvert-aws_([0-9][0-9A-Za-z.-]*)_linux_amd64\.tar\.gz$`)
	bucketName  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)
)

// unpack opens the archive that was given, and looks whether it is whole.
func (c *cloud) unpack(work string) (publication, error) {
	p := publication{Bucket: c.publicBucket, Region: c.Region, archive: c.archive, work: work}
	if !bucketName.MatchString(p.Bucket) {
		return p, advice.New("make publish BUCKET=name REGION=name, where the name is of small letters, digits and hyphens, 3 to 63 of them.",
			"%q is no name of a bucket that templates can be taken from", p.Bucket)
	}
	found := archiveName.FindStringSubmatch(filepath.Base(p.archive))
	if found == nil {
		return p, advice.New("make publish makes one. Or name that of a release: --archive culvert-aws_VERSION_linux_amd64.tar.gz", "no archive of a release was given")
	}
	p.Version = found[1]
	var err error
	if p.Sum, err = sumOf(p.archive); err != nil {
		return p, err
	}
	if err := untar(p.archive, work, maxUnpacked); err != nil {
		return p, brokenRelease("the archive cannot be unpacked: %v", err)
	}
	if _, err := os.Stat(filepath.Join(work, "template.yaml")); err != nil {
		return p, brokenRelease("the archive has no template.yaml")
	}
	return p, whole(filepath.Join(work, artifacts))
}

// maxUnpacked is what an archive may hold, in bytes: a release has some 100 MB.
const maxUnpacked = 256 << 20

// untar writes the templates and artefacts of a release's archive, which holds
// at most so many bytes, into a folder, without the folder that they are in there.
func untar(archive, to string, most int64) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	packed, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(to, artifacts), 0o700); err != nil {
		return err
	}
	bounded := &io.LimitedReader{R: packed, N: most + 1}
	err = untarFrom(tar.NewReader(bounded), to)
	if bounded.N <= 0 { // an archive that is cut there may look whole
		return fmt.Errorf("it holds more than %d bytes", most)
	}
	return err
}

func untarFrom(in *tar.Reader, to string) error {
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		_, name, _ := strings.Cut(path.Clean(h.Name), "/")
		if dir, base := path.Split(name); name != "template.yaml" && (dir != artifacts+"/" || base == "") {
			continue
		}
		if err := write(filepath.Join(to, filepath.FromSlash(name)), in); err != nil {
			return err
		}
	}
}

func write(name string, from io.Reader) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

// readable lets everybody read what we publish and list nothing.
const readable = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::%s/` + under + `*"}]}`

// allowReadable lets such a policy be set, and nobody be let in by other means.
const allowReadable = "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=false,RestrictPublicBuckets=false"

// needPublicBucket makes the bucket if there is none. Of one that is there it
// changes nothing but files.
func (c *cloud) needPublicBucket(ctx context.Context) error {
	there, err := c.ours(ctx, c.publicBucket)
	if err != nil || there {
		return err
	}
	if !c.agrees(fmt.Sprintf("Make a bucket %s in %s, of which everybody may read the folder %s?", c.publicBucket, c.Region, under)) {
		return advice.New("To go ahead, add YES=1.", "nothing was made")
	}
	if err := c.makeBucket(ctx, c.publicBucket); err != nil {
		return err
	}
	if err := c.Call(ctx, nil, "s3api", "put-public-access-block", "--bucket", c.publicBucket, "--public-access-block-configuration", allowReadable); err != nil {
		return err
	}
	return c.Call(ctx, nil, "s3api", "put-bucket-policy", "--bucket", c.publicBucket, "--policy", fmt.Sprintf(readable, c.publicBucket))
}

// fill uploads what is taken by its checksum first, then what names it.
func (c *cloud) fill(ctx context.Context, p publication) error {
	if err := c.sync(ctx, filepath.Join(p.work, artifacts), p.Bucket); err != nil {
		return err
	}
	page := filepath.Join(p.work, "launch.html")
	text, err := p.page()
	if err != nil {
		return err
	}
	if err := os.WriteFile(page, text, 0o600); err != nil {
		return err
	}
	for _, name := range []string{filepath.Join(p.work, "template.yaml"), p.archive, page} {
		if err := c.put(ctx, name, p); err != nil {
			return err
		}
	}
	c.Step(term.Good, 0, "Uploaded template, archive and page of version %s", p.Version)
	return nil
}

// put has as long for one file as sync has for its folder.
func (c *cloud) put(ctx context.Context, name string, p publication) error {
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	_, err := c.Within(ctx, "s3", "cp", name, "s3://"+p.Bucket+"/"+p.key(filepath.Base(name)), "--no-progress")
	return err
}

// readByStrangers asks for the template without credentials: a bucket that was
// there before, or the account, may allow nobody else to read.
func (c *cloud) readByStrangers(ctx context.Context, p publication) error {
	got := filepath.Join(p.work, "strangers.yaml")
	if _, err := c.Answer(ctx, "s3api", "get-object", "--no-sign-request", "--bucket", p.Bucket, "--key", p.key("template.yaml"), got); err != nil {
		return &advice.Advice{Problem: "others may not read what was uploaded", Err: err, Try: "Allow it, for the folder alone, in the bucket's own settings and in those of the account (S3, Block Public Access):\n" +
			"  aws s3api put-public-access-block --bucket " + p.Bucket + " --public-access-block-configuration " + allowReadable + "\n" +
			"  aws s3api put-bucket-policy --bucket " + p.Bucket + " --policy '" + fmt.Sprintf(readable, p.Bucket) + "'"}
	}
	want, err := os.ReadFile(filepath.Join(p.work, "template.yaml"))
	if err != nil {
		return err
	}
	has, err := os.ReadFile(got)
	if err == nil && !bytes.Equal(has, want) {
		err = advice.New("Run this again.", "the template in the bucket is not the one that was uploaded")
	}
	return err
}

func (p publication) key(name string) string { return under + p.Version + "/" + name }

// address is where everybody finds a file.
func (p publication) address(name string) string {
	return "https://" + p.Bucket + ".s3." + p.Region + ".amazonaws.com/" + p.key(name)
}

// Archive is where the archive is, and its name.
func (p publication) Archive() string { return p.address(p.Name() + ".tar.gz") }
func (p publication) Name() string    { return "culvert-aws_" + p.Version + "_linux_amd64" }

// Button is the address at AWS's console that makes the stack.
func (p publication) Button() template.URL {
	return template.URL("https://" + p.Region + ".console.aws.amazon.com/cloudformation/home?region=" + p.Region + "#/stacks/create/review?templateURL=" +
		url.QueryEscape(p.address("template.yaml")) + "&stackName=culvert&param_Artifacts=" + p.Bucket)
}

//go:embed launch.html
var launchPage string

// page is what people are shown.
func (p publication) page() ([]byte, error) {
	t, err := template.New("launch.html").Parse(launchPage)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, p)
	return out.Bytes(), err
}
