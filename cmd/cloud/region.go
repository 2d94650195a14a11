package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"culvert/cmd/cloud/internal/advice"
	"culvert/cmd/cloud/internal/cfn"
	"culvert/internal/cost"
	"culvert/internal/term"
)

// knownZones are the zones of the regions of which infra/network.yaml knows them and CloudFront's prefix list.
var knownZones = map[string][2]string{
	"us-east-1":      {"use1-az1", "use1-az2"},
	"us-east-2":      {"use2-az1", "use2-az2"},
	"us-west-1":      {"usw1-az1", "usw1-az3"},
	"us-west-2":      {"usw2-az1", "usw2-az2"},
	"af-south-1":     {"afs1-az1", "afs1-az2"},
	"ap-east-1":      {"ape1-az1", "ape1-az2"},
	"ap-south-1":     {"aps1-az1", "aps1-az3"},
	"ap-northeast-1": {"apne1-az1", "apne1-az4"},
	"ap-northeast-2": {"apne2-az1", "apne2-az3"},
	"ap-northeast-3": {"apne3-az1", "apne3-az3"},
	"ap-southeast-1": {"apse1-az1", "apse1-az2"},
	"ap-southeast-2": {"apse2-az1", "apse2-az3"},
	"ca-central-1":   {"cac1-az1", "cac1-az2"},
	"eu-central-1":   {"euc1-az2", "euc1-az3"},
	"eu-north-1":     {"eun1-az1", "eun1-az2"},
	"eu-south-1":     {"eus1-az1", "eus1-az2"},
	"eu-west-1":      {"euw1-az1", "euw1-az2"},
	"eu-west-2":      {"euw2-az2", "euw2-az3"},
	"eu-west-3":      {"euw3-az1", "euw3-az2"},
	"me-south-1":     {"mes1-az1", "mes1-az2"},
	"sa-east-1":      {"sae1-az1", "sae1-az3"},
}

// originFacing is the list of addresses from which CloudFront asks origins.
const originFacing = "com.amazonaws.global.cloudfront.origin-facing"

// lookUpRegion finds out what the template does not know of a region, unless
// the volunteer gave it or the stack has it.
func (c *cloud) lookUpRegion(ctx context.Context, s cfn.Stack) error {
	if c.isKnown() || c.chosen("OriginFacing", s) != "" && c.chosen("ZoneA", s) != "" && c.chosen("ZoneB", s) != "" {
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

// checkOffer has a stack that is made in a known region stand in zones that have its machine, where the template's own have
// not. One that stands, or whose zones were given, is refused. Where AWS does not tell, the deployment finds out.
func (c *cloud) checkOffer(ctx context.Context, s cfn.Stack) error {
	kind := c.newMachine(s)
	if kind == "" || !c.isKnown() {
		return nil
	}
	good, err := c.zonesWith(ctx, kind)
	var refused *advice.Advice
	if errors.As(err, &refused) {
		return err
	}
	if err != nil {
		return ctx.Err()
	}
	return c.settleZones(s, kind, good)
}

// settleZones replaces zones that are not good by others.
func (c *cloud) settleZones(s cfn.Stack, kind string, good []string) error {
	var zones [2]string
	for i, key := range zoneKeys {
		zones[i] = cmp.Or(c.chosen(key, s), knownZones[c.Region][i])
	}
	stands := s.Condition().Made()
	for i, key := range zoneKeys {
		was := zones[i]
		isEmpty := i > 0 && stands && c.topology(s) == cost.Solo
		switch {
		case slices.Contains(good, was) || isEmpty:
		case stands || c.gives(key):
			return advice.New("Take another kind of machine, such as INSTANCE=t4g.small. A new deployment can stand in "+strings.Join(good, ", ")+".",
				"zone %s has no %s", was, kind)
		default:
			zones[i] = good[slices.IndexFunc(good, func(z string) bool { return z != zones[1-i] })]
			c.given[key] = zones[i]
			c.Step(term.Warned, 0, "Zone %s has no %s: this takes %s", was, kind, zones[i])
		}
	}
	return nil
}

// zoneKeys are the parameters of the two zones; a single machine is in the first.
var zoneKeys = [2]string{"ZoneA", "ZoneB"}

// isKnown reports whether the template knows the region.
func (c *cloud) isKnown() bool {
	_, ok := knownZones[c.Region]
	return ok
}

// zonesWithoutOrigins are those in which CloudFront reaches no VPC origin.
var zonesWithoutOrigins = []string{"use1-az3", "usw1-az2", "apne1-az3", "cac1-az3"}
