package main

import (
	"context"
	"math"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/cmd/cloud/internal/cfn"
	"culvert/internal/aws"
	"culvert/internal/cost"
	"culvert/test/awstest"
)

// numbers answers CloudWatch's questions, by namespace and metric.
type numbers map[string]string

func (n numbers) Run(_ context.Context, c aws.Call) ([]byte, error) {
	word := func(flag string) string { return c.Args[slices.Index(c.Args, flag)+1] }
	if sums, there := n[word("--namespace")+" "+word("--metric-name")]; there {
		return []byte(sums), nil
	}
	return []byte("[]"), nil
}

// parts of a deployment, as CloudFormation lists them.
var standing = []cfn.Resource{
	{Type: "AWS::CloudFront::Distribution", PhysicalID: "E1"}, {Type: "AWS::CloudFront::Distribution", PhysicalID: "E2"},
	{Type: "AWS::ApiGatewayV2::Api", PhysicalID: "a1"}, {Type: "AWS::EC2::Instance", PhysicalID: "i-1"},
	{Type: "AWS::Lambda::Function", PhysicalID: "culvert-ConnectFunction-1"}, {Type: "AWS::Lambda::Function", PhysicalID: "culvert-MessageFunction-1"},
}

func TestAllThatWasUsedIsRead(t *testing.T) {
	t.Parallel()
	c, _, _ := testCloud(t, nil)
	c.Runner = numbers{
		"AWS/CloudFront BytesDownloaded": "[1, 2]", "AWS/CloudFront BytesUploaded": "[3]", "AWS/CloudFront Requests": "[4]",
		"AWS/ApiGateway MessageCount": "[5]", "AWS/ApiGateway ConnectCount": "[6]",
		"AWS/Lambda Invocations": "[7]", "AWS/Lambda Duration": "[8]", "AWS/EC2 NetworkOut": "[9, 10]", "AWS/EC2 CPUSurplusCreditsCharged": "[11, 12]",
	}
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	got := c.traffic(t.Context(), standing, now.Add(-time.Hour), now)
	want := traffic{down: 6, up: 6, requests: 8, messages: 5, connections: 6, calls: 14, milliseconds: 16, sent: 19, credits: 23, since: time.Hour}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTheOriginIsFoundInBothTopologies(t *testing.T) {
	t.Parallel()
	got := origins(append(standing, cfn.Resource{Type: "AWS::AutoScaling::AutoScalingGroup", PhysicalID: "culvert-origins"}))
	if want := []string{"Name=InstanceId,Value=i-1", "Name=AutoScalingGroupName,Value=culvert-origins"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Reckoned by hand, by the prices of us-east-1 and Europe's edge.
func TestEachThingThatWasUsedCosts(t *testing.T) {
	t.Parallel()
	const million = 1e6
	for name, one := range map[string]struct {
		used traffic
		want float64
	}{
		"nothing":                         {traffic{}, 0},
		"the stream door down":            {traffic{down: 1124 * cost.GB, sent: 1124 * cost.GB}, 100 * 0.085},
		"the stream door up":              {traffic{up: 200 * cost.GB, sent: 200 * cost.GB}, 200*0.02 + 100*0.09},
		"up through a machine before":     {traffic{up: 200 * cost.GB}, 200*0.02 + 100*0.09},
		"requests to CloudFront":          {traffic{requests: 12 * million}, 2*1.20 + 10*0.10},
		"small messages":                  {traffic{messages: 3 * million}, 3},
		"large messages":                  {traffic{messages: million, sent: 300 * cost.GB}, 4 + 200*0.09},
		"connections":                     {traffic{connections: million}, 120 * 0.25},
		"processor time beyond the share": {traffic{credits: 60 * 100}, 100 * 0.04},
		"calls of functions":              {traffic{calls: 6 * million, milliseconds: 6 * million * 1000}, 5*0.20 + (1.5e6-400_000)*0.0000133334},
	} {
		if got := one.used.cost(cost.Solo, cost.USEast1()); math.Abs(got-one.want) > 0.005 {
			t.Errorf("%s: got %.3f $, want %.3f", name, got, one.want)
		}
	}
}

func TestAFleetsBalancerCosts(t *testing.T) {
	t.Parallel()
	used := traffic{down: 90 * cost.GB, up: 10 * cost.GB, sent: 100 * cost.GB}
	more := used.cost(cost.Fleet, cost.USEast1()) - used.cost(cost.Solo, cost.USEast1())
	if want := 100*0.006 + 50*0.02; math.Abs(more-want) > 0.005 {
		t.Errorf("got %.3f $ more, want %.3f", more, want)
	}
}

// A deployment for x86 has its functions built for x86, too.
func TestWhatTheMonthHasCostIsByTheProcessorsPrices(t *testing.T) {
	t.Parallel()
	c, _, said := testCloud(t, nil)
	c.given["Architecture"] = "x86_64"
	c.money(traffic{connections: 1, calls: 6e6, milliseconds: 6e9}, cfn.Stack{}, time.Now())
	awstest.WantSaid(t, said.String(), "About 19.33 $ until now") // 5 × 0.20 + (1,500,000 - 400,000) × 0.0000166667
}

func TestTheEstimateIsForTheMachinesThatWillRun(t *testing.T) {
	t.Parallel()
	fleet := cfn.Stack{Parameters: []cfn.Parameter{{ParameterKey: "Topology", ParameterValue: "fleet"}, {ParameterKey: "InstanceType"}}}
	for _, one := range []struct {
		given string
		stack cfn.Stack
		want  string
		n     int
	}{
		{"", cfn.Stack{}, "t4g.nano", 1},
		{"Architecture=x86_64", cfn.Stack{}, "t3.nano", 1},
		{"InstanceType=c7g.large", cfn.Stack{}, "c7g.large", 1},
		{"Topology=fleet", cfn.Stack{}, "t4g.small", 2},
		{"FleetMin=4", fleet, "t4g.small", 4},
		{"Architecture=x86_64", fleet, "t3.small", 2},
	} {
		c, _, _ := testCloud(t, nil)
		if one.given != "" {
			if err := c.set(one.given); err != nil {
				t.Fatal(err)
			}
		}
		if m, _, err := c.month(one.stack); err != nil || m.Instance != one.want || m.Instances != one.n {
			t.Errorf("%q: got %d of %s and %v, want %d of %s", one.given, m.Instances, m.Instance, err, one.n, one.want)
		}
	}
}

func TestMoneySaysWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	c, _, said := testCloud(t, nil)
	c.given["Topology"] = "solo"
	c.money(traffic{messages: 7, connections: 2, since: time.Hour, err: context.DeadlineExceeded}, cfn.Stack{}, time.Now())
	awstest.WantSaid(t, said.String(), "Not all of the traffic", "7 messages, in 2 connections", "at its dearest")
	if strings.Contains(said.String(), "NaN") {
		t.Errorf("got %q", said)
	}
}

// The month has 30 days.
func TestAPaceThatWillPassTheBudgetIsSaid(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for _, one := range []struct {
		name         string
		spent        float64
		budget       string
		created, now time.Time
		says         string
	}{
		{"as planned", 5, "20", time.Time{}, begin.AddDate(0, 0, 10), ""},
		{"too fast", 8, "20", time.Time{}, begin.AddDate(0, 0, 10), "comes to about 24.00 $, more than the budget of 20 $"},
		{"passed already", 21, "20", time.Time{}, begin.AddDate(0, 0, 15), "more than the budget of 20 $. AWS stops nothing"},
		{"begun in the middle", 4, "20", begin.AddDate(0, 0, 10), begin.AddDate(0, 0, 15), ""},
		{"begun in the middle, too fast", 8, "20", begin.AddDate(0, 0, 10), begin.AddDate(0, 0, 15), "comes to about 32.00 $"},
		{"too early to tell", 8, "20", time.Time{}, begin.Add(time.Hour), ""},
		{"without a budget", 800, "0", time.Time{}, begin.AddDate(0, 0, 10), ""},
		{"of a stack that says nothing", 800, "", time.Time{}, begin.AddDate(0, 0, 10), ""},
	} {
		c, _, said := testCloud(t, nil)
		c.pace(one.spent, one.now, cfn.Stack{Created: one.created, Parameters: []cfn.Parameter{{ParameterKey: "Budget", ParameterValue: one.budget}}})
		if (one.says == "") != (said.Len() == 0) {
			t.Errorf("%s: said %q, want %q", one.name, said, one.says)
		}
		awstest.WantSaid(t, said.String(), one.says)
	}
}

// Traffic costs what it does where the users are, also in a region without a list.
func TestTheEstimateIsForWhereTheUsersAre(t *testing.T) {
	t.Parallel()
	for _, region := range []string{"eu-central-1", "sa-east-1"} {
		costs := map[string]float64{}
		for _, edge := range []string{"europe", "india"} {
			c, _, _ := testCloud(t, nil)
			c.Region, c.edge, c.users = region, edge, 1000
			m, prices, err := c.month(cfn.Stack{})
			if err != nil && region == "eu-central-1" || prices.Edge != edge {
				t.Errorf("%s: got prices for %s and %v, want %s", region, prices.Edge, err, edge)
			}
			costs[edge] = m.Total
		}
		if costs["india"] <= costs["europe"] {
			t.Errorf("%s: got %v, want India dearer", region, costs)
		}
	}
}

func TestGaugesOfAllOriginsAreAddedUp(t *testing.T) {
	t.Parallel()
	sums, machines := addUp([]string{"culvert_users 3\nculvert_tunnels 7\n", "culvert_users 2\n# HELP x\nbroken", "curl: (7)"})
	if machines != 2 || sums["culvert_users"] != 5 || sums["culvert_tunnels"] != 7 {
		t.Errorf("got %v of %d machines, want 5 users, 7 tunnels, 2 machines", sums, machines)
	}
}

// An origin that has run for long has more numbers than Systems Manager hands on.
func TestTheNumbersThatAreShownFitSystemsManagersAnswer(t *testing.T) {
	t.Parallel()
	const limit = 2500
	metrics := strings.Repeat("culvert_bytes_total{direction=\"down\",service=\"media\"} 1\n", limit/40) +
		"culvert_carriers 4\nculvert_tunnel_carriers_total 9\nculvert_tunnels 7\nculvert_users 3\n"
	machine := "seq() { echo 1; }; curl() { cat; }; " + readGauges
	cmd := exec.Command("sh", "-c", machine)
	cmd.Stdin = strings.NewReader(metrics)
	out, err := cmd.Output()
	if err != nil || len(out) > limit/10 {
		t.Fatalf("got %d characters and %v, want at most %d for each release", len(out), err, limit/10)
	}
	sums, machines := addUp([]string{string(out)})
	if machines != 1 || sums["culvert_users"] != 3 || sums["culvert_tunnels"] != 7 || sums["culvert_carriers"] != 4 {
		t.Errorf("got %v of %d machines, want 3 users, 7 tunnels and 4 carriers of one", sums, machines)
	}
}
