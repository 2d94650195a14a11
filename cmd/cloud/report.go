package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"culvert/cmd/cloud/internal/cfn"
)

// report asks what only a live account can answer.
func report(ctx context.Context, c *cloud) error {
	s, err := c.standing(ctx)
	if err != nil {
		return err
	}
	return c.findings(ctx, s)
}

// question is one about AWS that no document answers for certain. Its answer
// is of words that we choose and of what is the same for everybody, so that it
// tells nobody whose account that is.
type question struct {
	text string
	ask  func(*cloud, context.Context, deployed) (string, error)
}

// deployed is a stack that stands, with all that is in it.
type deployed struct {
	cfn.Stack
	parts []cfn.Resource
}

// ids are those of the parts of a type.
func (s deployed) ids(kind string) []string { return cfn.IDs(s.parts, kind) }

var questions = []question{
	{"CloudFront's list of addresses is the one that was let in", askPrefixList},
	{"both zones have this kind of machine", askZones},
	{"secrets stand resolved in CloudFront's function", askGate},
	{"the machine's image was found by its name", askImage},
	{"the stage of the API was deployed", askStage},
	{"functions are active, in the network", askFunctions},
	{"the association of the installation ended", askAssociation},
	{"the machine's agent answers, with swap space in", askSwap},
	{"CloudFront made a security group of its own", askServiceGroup},
	{"interfaces in the network, by kind", askInterfaces},
	{"budgets may be listed", askBudgets},
}

// findings prints the answers, for whoever wants to tell how it went.
func (c *cloud) findings(ctx context.Context, s cfn.Stack) error {
	parts, err := c.Resources(ctx, s.ID)
	if err != nil {
		return err
	}
	c.Title("Report, to be pasted where you tell how it went")
	c.Hint("No secret, name, number or address of yours is in it.")
	at := deployed{s, parts}
	c.found("version, region, topology", strings.Join([]string{version(), c.Region, s.Parameter("Topology"), s.Parameter("Architecture")}, ", "))
	for _, q := range questions {
		answer, err := q.ask(c, ctx, at)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			answer = "not answered" + errorCode(err)
		}
		c.found(q.text, answer)
	}
	c.found("every front and door worked", cmp.Or(c.tested, "not tested"))
	return nil
}

func (c *cloud) found(what, answer string) { fmt.Fprintf(c, "    %-60s %s\n", what, answer) }

// version is that of a release, or of the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}

var code = regexp.MustCompile(`\(([A-Za-z0-9.]+)\) when calling`)

// errorCode is what AWS calls an error. Its sentence may name the account.
func errorCode(err error) string {
	if found := code.FindStringSubmatch(err.Error()); found != nil {
		return " (" + found[1] + ")"
	}
	return ""
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

func askPrefixList(c *cloud, ctx context.Context, s deployed) (string, error) {
	list, err := c.prefixList(ctx)
	if err != nil {
		return "", err
	}
	var letIn []string
	err = c.Call(ctx, &letIn, append([]string{"ec2", "describe-security-groups", "--query", "SecurityGroups[].IpPermissions[].PrefixListIds[].PrefixListId",
		"--group-ids"}, s.ids("AWS::EC2::SecurityGroup")...)...)
	return yes(slices.Contains(letIn, list)) + ", " + list, err
}

func askZones(c *cloud, ctx context.Context, s deployed) (string, error) {
	var zones []string
	err := c.Call(ctx, &zones, append([]string{"ec2", "describe-subnets", "--query", "Subnets[].AvailabilityZoneId", "--subnet-ids"},
		s.ids("AWS::EC2::Subnet")...)...)
	if err != nil {
		return "", err
	}
	slices.Sort(zones)
	kind := c.machine(s.Stack)
	good, err := c.zonesWith(ctx, kind)
	both := !slices.ContainsFunc(zones, func(z string) bool { return !slices.Contains(good, z) })
	return yes(both) + ", " + kind + " in " + strings.Join(zones, " and "), err
}

// gateCode is in the code of CloudFront's function: what has not even that is no answer.
const gateCode = "culvert gate secret"

// askGate has the code, which holds a secret, in memory alone.
func askGate(c *cloud, ctx context.Context, s deployed) (string, error) {
	all := s.ids("AWS::CloudFront::Function")
	if len(all) == 0 {
		return "there is none", nil
	}
	text, err := c.Answer(ctx, "cloudfront", "get-function", "--name", all[0][strings.LastIndexByte(all[0], '/')+1:], "--stage", "LIVE", "/dev/stdout")
	if err == nil && !strings.Contains(string(text), gateCode) {
		err = errors.New("that is not the gate's code")
	}
	return yes(!strings.Contains(string(text), "resolve:")), err
}

func askImage(c *cloud, ctx context.Context, s deployed) (string, error) {
	all := s.ids("AWS::EC2::Instance")
	if len(all) == 0 {
		return "not asked of a fleet", nil
	}
	var images []string
	err := c.Call(ctx, &images, append([]string{"ec2", "describe-instances", "--query", "Reservations[].Instances[].ImageId", "--instance-ids"}, all...)...)
	return yes(len(images) > 0 && strings.HasPrefix(images[0], "ami-")), err
}

func askStage(c *cloud, ctx context.Context, s deployed) (string, error) {
	var stage struct{ LastDeploymentStatusMessage string }
	err := c.Call(ctx, &stage, "apigatewayv2", "get-stage", "--api-id", s.Output("Api"), "--stage-name", "v1")
	return yes(strings.Contains(strings.ToLower(stage.LastDeploymentStatusMessage), "success")), err
}

func askFunctions(c *cloud, ctx context.Context, s deployed) (string, error) {
	states := map[string]int{}
	for _, f := range s.ids("AWS::Lambda::Function") {
		var state string
		if err := c.Call(ctx, &state, "lambda", "get-function-configuration", "--function-name", f, "--query", "State"); err != nil {
			return "", err
		}
		states[state]++
	}
	return counts(states), nil
}

func askAssociation(c *cloud, ctx context.Context, s deployed) (string, error) {
	states := map[string]int{}
	for _, a := range s.ids("AWS::SSM::Association") {
		var state string
		if err := c.Call(ctx, &state, "ssm", "describe-association", "--association-id", a, "--query", "AssociationDescription.Overview.Status"); err != nil {
			return "", err
		}
		states[state]++
	}
	return counts(states), nil
}

// readSwap prints where swap space is, such as /dev/zram0.
const readSwap = `swapon --noheadings --show=NAME; echo agent`

func askSwap(c *cloud, ctx context.Context, s deployed) (string, error) {
	said, err := c.onMachines(ctx, s.Stack, readSwap)
	text := strings.Join(said, " ")
	switch {
	case !strings.Contains(text, "agent"):
		return "no", err
	case strings.Contains(text, "zram"):
		return "yes, memory (zram)", err
	case strings.Contains(text, "/"):
		return "yes, a file", err
	}
	return "yes, none", err
}

func askServiceGroup(c *cloud, ctx context.Context, s deployed) (string, error) {
	var n int
	err := c.Call(ctx, &n, "ec2", "describe-security-groups", "--filters", "Name=group-name,Values=CloudFront-VPCOrigins-Service-SG",
		"Name=vpc-id,Values="+strings.Join(s.ids("AWS::EC2::VPC"), ","), "--query", "length(SecurityGroups)")
	return yes(n > 0), err
}

func askInterfaces(c *cloud, ctx context.Context, s deployed) (string, error) {
	var kinds []string
	err := c.Call(ctx, &kinds, "ec2", "describe-network-interfaces", "--filters", "Name=vpc-id,Values="+strings.Join(s.ids("AWS::EC2::VPC"), ","),
		"--query", "NetworkInterfaces[].InterfaceType")
	n := map[string]int{}
	for _, k := range kinds {
		n[k]++
	}
	return counts(n), err
}

func askBudgets(c *cloud, ctx context.Context, _ deployed) (string, error) {
	return "yes", c.CallGlobal(ctx, nil, "budgets", "describe-budgets", "--account-id", c.account.ID, "--max-results", "1")
}

// word is what AWS calls a state or a kind. Anything else is not passed on.
var word = regexp.MustCompile(`^[A-Za-z_-]{1,40}$`)

// counts lists how often each was seen.
func counts(n map[string]int) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(n)) {
		if word.MatchString(name) {
			all = append(all, fmt.Sprintf("%d %s", n[name], name))
		}
	}
	return cmp.Or(strings.Join(all, ", "), "none")
}
