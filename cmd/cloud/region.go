package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"culvert/cmd/cloud/internal/advice"
	"culvert/cmd/cloud/internal/cfn"
	"culvert/internal/term"
)

// knownRegions are those of which infra/network.yaml knows CloudFront's prefix
// list and good zones.
var knownRegions = []string{
	"us-east-1", "us-east-2", "us-west-1", "us-west-2", "af-south-1", "ap-east-1", "ap-south-1", "ap-northeast-1",
	"ap-northeast-2", "ap-northeast-3", "ap-southeast-1", "ap-southeast-2", "ca-central-1", "eu-central-1",
	"eu-north-1", "eu-south-1", "eu-west-1", "eu-west-2", "eu-west-3", "me-south-1", "sa-east-1",
}

// originFacing is the list of addresses from which CloudFront asks origins.
const originFacing = "com.amazonaws.global.cloudfront.origin-facing"

// lookUpRegion finds out what the template does not know of a region, unless
// the volunteer gave it or the stack has it.
func (c *cloud) lookUpRegion(ctx context.Context, s cfn.Stack) error {
	if slices.Contains(knownRegions, c.Region) || c.chosen("OriginFacing", s) != "" && c.chosen("ZoneA", s) != "" && c.chosen("ZoneB", s) != "" {
		return nil
	}
	list, err := c.prefixList(ctx)
	if err != nil {
		return err
	}
	zones, err := c.zonesWith(ctx, c.machine(s))
	if err != nil {
		return err
	}
	c.setUnlessChosen(s, "OriginFacing", list)
	c.setUnlessChosen(s, "ZoneA", zones[0])
	c.setUnlessChosen(s, "ZoneB", zones[1])
	c.Step(term.Good, 0, "Region %s was looked up: zones %s and %s, CloudFront's addresses %s",
		c.Region, c.chosen("ZoneA", s), c.chosen("ZoneB", s), c.chosen("OriginFacing", s))
	return nil
}

// setUnlessChosen leaves alone what the volunteer gave, and zones that the
// stack has: a change would replace its network.
func (c *cloud) setUnlessChosen(s cfn.Stack, key, value string) {
	if c.chosen(key, s) == "" {
		c.given[key] = value
	}
}

const anotherRegion = "Take another region, such as REGION=eu-central-1 or REGION=us-east-1."

// prefixList is the id of CloudFront's list in the region.
func (c *cloud) prefixList(ctx context.Context) (string, error) {
	var ids []string
	err := c.Call(ctx, &ids, "ec2", "describe-managed-prefix-lists", "--filters", "Name=prefix-list-name,Values="+originFacing,
		"--query", "PrefixLists[].PrefixListId")
	if err == nil && len(ids) == 0 {
		err = advice.New(anotherRegion, "region %s has no list of CloudFront's addresses, without which CloudFront cannot be let in alone", c.Region)
	}
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// zonesWith gives two zones of the region or more that have the machine, those
// that CloudFront reaches, in order of their ids.
func (c *cloud) zonesWith(ctx context.Context, machine string) ([]string, error) {
	var zones, offered []string
	err := c.Call(ctx, &zones, "ec2", "describe-availability-zones", "--filters", "Name=zone-type,Values=availability-zone",
		"Name=state,Values=available", "--query", "AvailabilityZones[].ZoneId")
	if err != nil {
		return nil, err
	}
	err = c.Call(ctx, &offered, "ec2", "describe-instance-type-offerings", "--location-type", "availability-zone-id",
		"--filters", "Name=instance-type,Values="+machine, "--query", "InstanceTypeOfferings[].Location")
	if err != nil {
		return nil, err
	}
	good := slices.DeleteFunc(zones, func(z string) bool { return !slices.Contains(offered, z) || slices.Contains(zonesWithoutOrigins, z) })
	slices.Sort(good)
	if len(good) < 2 {
		return nil, advice.New(fmt.Sprintf("Take another kind of machine, such as INSTANCE=t4g.small, or another region. All that there is:\n"+
			"  aws ec2 describe-instance-type-offerings --region %s --query 'InstanceTypeOfferings[].InstanceType' --output text", c.Region),
			"region %s has a %s in %d zones that CloudFront reaches, and two are needed", c.Region, machine, len(good))
	}
	return good, nil
}

// checkOffer refuses a machine that a region which the template knows has in
// fewer than two zones. Where that is not told, the deployment finds out.
func (c *cloud) checkOffer(ctx context.Context, s cfn.Stack) error {
	kind := c.newMachine(s)
	if kind == "" || !slices.Contains(knownRegions, c.Region) {
		return nil
	}
	_, err := c.zonesWith(ctx, kind)
	var refused *advice.Advice
	if errors.As(err, &refused) {
		return err
	}
	return ctx.Err()
}

// zonesWithoutOrigins are those in which CloudFront reaches no VPC origin.
var zonesWithoutOrigins = []string{"use1-az3", "usw1-az2", "apne1-az3", "cac1-az3"}
