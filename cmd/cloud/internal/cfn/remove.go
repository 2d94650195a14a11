package cfn

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"culvert/cmd/cloud/internal/advice"
	"culvert/internal/aws"
	"culvert/internal/term"
)

// AWS lets go of the functions' and CloudFront's interfaces in the network
// only after a while, and a deletion that came too early fails: it is tried
// again, and goes on where it stopped. What else fails seldom goes better later.
const (
	deletions             = 3
	firstPause, mostPause = 30 * time.Second, 5 * time.Minute // each is twice as long as the one before
	networkLimit          = time.Hour                         // until when the network is waited for
)

// Remove deletes the stack and everything in it.
func (c *Client) Remove(ctx context.Context, s Stack) error {
	began, pause := time.Now(), firstPause
	for try := 1; ; try++ {
		_, err := c.order(ctx, s.ID, "delete-stack", "--stack-name", s.ID)
		waits := err != nil && holdsNetwork.MatchString(causes(err)) && time.Since(began) < networkLimit
		if err == nil || ctx.Err() != nil || !waits && try >= deletions {
			return err
		}
		c.Step(term.Warned, 0, "The deletion stopped: %s. Trying again in %s.", strings.TrimSuffix(err.Error(), "."), term.Span(pause))
		if err := aws.Pause(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, mostPause)
		c.freeNetwork(ctx, s)
	}
}

// holdsNetwork is what CloudFormation says of a network that has interfaces.
var holdsNetwork = regexp.MustCompile(`(?i)DependencyViolation|has dependencies|dependent object|resource .* in use|network vpc-\w+ has some`)

// causes is an error's text, with AWS's own words where there is advice.
func causes(err error) string {
	var known *advice.Advice
	if errors.As(err, &known) && known.Err != nil {
		return err.Error() + ": " + known.Err.Error()
	}
	return err.Error()
}

// freeNetwork deletes the interfaces that nothing uses in the networks that are
// left of the stack. Lambda removes those of its functions by their role, and
// leaves them where that is gone. What it may not delete stays for the next time.
func (c *Client) freeNetwork(ctx context.Context, s Stack) {
	all, err := c.Resources(ctx, s.ID)
	if err != nil {
		return // the next deletion says what is wrong
	}
	for _, vpc := range IDs(all, "AWS::EC2::VPC") {
		var unused []string
		err := c.Call(ctx, &unused, "ec2", "describe-network-interfaces", "--filters", "Name=vpc-id,Values="+vpc,
			"Name=status,Values=available", "--query", "NetworkInterfaces[].NetworkInterfaceId")
		for _, id := range unused {
			if err = c.Call(ctx, nil, "ec2", "delete-network-interface", "--network-interface-id", id); err == nil {
				c.Step(term.Good, 0, "Deleted: interface %s, which nothing used any more", id)
			}
		}
		if err != nil {
			c.Step(term.Warned, 0, "Not all unused interfaces of the network %s were deleted: %s", vpc, fmt.Sprintf("%.200s", strings.TrimSpace(err.Error())))
		}
	}
}
