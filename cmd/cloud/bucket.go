package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
)

// bucket is where a stack's uploads are. Names of buckets are shared by all
// accounts of the world; the end makes this one ours without telling whose.
func (c *cloud) bucket() string {
	sum := sha256.Sum256([]byte(c.account.ID + "/" + c.Region + "/" + c.Stack))
	return fmt.Sprintf("%s-uploads-%x", strings.ToLower(c.Stack), sum[:8])
}

// needBucket makes the bucket, closed to everybody else. Each step may be done
// again.
func (c *cloud) needBucket(ctx context.Context) error {
	there, err := c.haveBucket(ctx)
	if err != nil {
		return err
	}
	if !there {
		if err := c.makeBucket(ctx, c.bucket()); err != nil {
			return err
		}
	}
	return c.Call(ctx, nil, "s3api", "put-public-access-block", "--bucket", c.bucket(), "--expected-bucket-owner", c.account.ID,
		"--public-access-block-configuration",
		"BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true")
}

func (c *cloud) haveBucket(ctx context.Context) (bool, error) { return c.ours(ctx, c.bucket()) }

// makeBucket makes a bucket in the region.
func (c *cloud) makeBucket(ctx context.Context, name string) error {
	args := []string{"s3api", "create-bucket", "--bucket", name}
	if c.Region != "us-east-1" { // S3 refuses to hear that name
		args = append(args, "--create-bucket-configuration", "LocationConstraint="+c.Region)
	}
	return c.Call(ctx, nil, args...)
}

// ours says whether a bucket is there, and takes nobody else's for ours: whoever
// knows the account's number could make the one for uploads first, and change
// what is uploaded.
func (c *cloud) ours(ctx context.Context, bucket string) (bool, error) {
	err := c.Call(ctx, nil, "s3api", "head-bucket", "--bucket", bucket, "--expected-bucket-owner", c.account.ID)
	if err != nil && strings.Contains(err.Error(), "(404)") {
		return false, nil
	}
	return err == nil, err
}
