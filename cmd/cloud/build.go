package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

const (
	buildDir = ".aws-sam/build"
	packaged = ".aws-sam/packaged.yaml"
)

// build makes the functions and the origin's layer.
func (c *cloud) build(ctx context.Context) error {
	began := time.Now()
	c.show("… building the functions and the origin (usually 20 s, the first time 2 min)")
	defer c.show("")
	if err := c.sam(ctx, "build", "--template", c.template, "--build-dir", buildDir); err != nil {
		return err
	}
	c.done(began, "Built the functions and the origin")
	return nil
}

// upload puts what was built into the stack's bucket, and gives the template
// that names it there.
func (c *cloud) upload(ctx context.Context) (template string, err error) {
	if err := c.needBucket(ctx); err != nil {
		return "", err
	}
	began := time.Now()
	c.show("… uploading (usually 20 s)")
	defer c.show("")
	err = c.sam(ctx, "package", "--template-file", filepath.Join(buildDir, "template.yaml"),
		"--s3-bucket", c.bucket(), "--output-template-file", packaged)
	if err != nil {
		return "", err
	}
	c.done(began, "Uploaded them")
	return packaged, nil
}

// buildLimit is for a slow machine and a slow line.
const buildLimit = 30 * time.Minute

func (c *cloud) sam(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	_, err := c.run(ctx, call{name: c.samPath, args: args, env: c.env()})
	return err
}

// bucket is where a stack's uploads are. Names of buckets are shared by all
// accounts of the world; the end makes this one ours without telling whose.
func (c *cloud) bucket() string {
	sum := sha256.Sum256([]byte(c.account.ID + "/" + c.region + "/" + c.stack))
	return fmt.Sprintf("%s-uploads-%x", strings.ToLower(c.stack), sum[:8])
}

// needBucket makes the bucket, closed to everybody else. Each step may be done
// again.
func (c *cloud) needBucket(ctx context.Context) error {
	there, err := c.haveBucket(ctx)
	if err != nil {
		return err
	}
	if !there {
		args := []string{"s3api", "create-bucket", "--bucket", c.bucket()}
		if c.region != "us-east-1" { // which S3 refuses to hear
			args = append(args, "--create-bucket-configuration", "LocationConstraint="+c.region)
		}
		if err := c.aws(ctx, nil, args...); err != nil {
			return err
		}
	}
	return c.aws(ctx, nil, "s3api", "put-public-access-block", "--bucket", c.bucket(), "--expected-bucket-owner", c.account.ID,
		"--public-access-block-configuration",
		"BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true")
}

// haveBucket takes nobody else's for ours: whoever knows the account's number
// could make one of that name first, and change what is uploaded.
func (c *cloud) haveBucket(ctx context.Context) (bool, error) {
	err := c.aws(ctx, nil, "s3api", "head-bucket", "--bucket", c.bucket(), "--expected-bucket-owner", c.account.ID)
	if err != nil && strings.Contains(err.Error(), "(404)") {
		return false, nil
	}
	return err == nil, err
}
