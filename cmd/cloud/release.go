package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"culvert/cmd/cloud/internal/advice"
	"culvert/internal/term"
)

// artifacts is the folder of a release, beside its template, with what that
// takes from a bucket: infra/release fills it. Nothing is built then.
const artifacts = "artifacts"

// under is where the release's template looks for them in a bucket.
const under = "culvert/"

func (c *cloud) artifacts() string { return filepath.Join(filepath.Dir(c.template), artifacts) }

// released says whether this is the folder of a release, and no clone.
func (c *cloud) released() bool {
	info, err := os.Stat(c.artifacts())
	return err == nil && info.IsDir()
}

// uploadRelease puts the release's files into the stack's bucket, and gives its
// template.
func (c *cloud) uploadRelease(ctx context.Context) (template string, err error) {
	c.Title("Uploading the release")
	if err := whole(c.artifacts()); err != nil {
		return "", err
	}
	if err := c.needBucket(ctx); err != nil {
		return "", err
	}
	if err := c.sync(ctx, c.artifacts(), c.bucket()); err != nil {
		return "", err
	}
	c.given["Artifacts"] = c.bucket()
	return c.template, nil
}

// sync brings a folder of artefacts into a bucket. What is there already has
// the same name and therefore the same content.
func (c *cloud) sync(ctx context.Context, folder, bucket string) error {
	began := time.Now()
	c.Show("… uploading (usually 20 s)")
	defer c.Show("")
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	if _, err := c.Within(ctx, "s3", "sync", folder, "s3://"+bucket+"/"+under, "--size-only", "--no-progress"); err != nil {
		return err
	}
	c.Step(term.Good, time.Since(began), "Uploaded what it is made of")
	return nil
}

// whole refuses artefacts of which one is not what its name says: the name is
// the SHA-256 that the templates know.
func whole(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return brokenRelease("the release's folder %s is empty", folder)
	}
	for _, e := range entries {
		sum, err := sumOf(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		if want, _, _ := strings.Cut(e.Name(), "."); sum != want {
			return brokenRelease("the release's file %s is damaged", e.Name())
		}
	}
	return nil
}

func brokenRelease(format string, args ...any) error {
	return advice.New("Fetch the release once more, compare its checksum, and unpack it into a folder that is not there yet.", format, args...)
}

// sumOf is the SHA-256 of a file.
func sumOf(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	return fmt.Sprintf("%x", h.Sum(nil)), errors.Join(err, f.Close())
}
