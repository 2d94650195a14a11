package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"culvert/internal/cost"
)

// status says how the deployment does. It changes nothing and costs nothing.
func status(ctx context.Context, c *cloud) error {
	s, err := c.standing(ctx)
	if err != nil {
		return err
	}
	c.line(markOf(s), 0, fmt.Sprintf("%s (%s), since %s, secrets of generation %s",
		inWords(s.Status), s.output("Topology"), s.Created.Format(time.DateOnly), s.parameter("Generation")))
	all, err := c.resources(ctx, s.ID)
	if err != nil {
		return err
	}
	for _, f := range s.fronts() {
		c.hint("front %d  %s", f.number, f.name)
	}
	c.hint("gateway  %s", strings.TrimPrefix(s.output("Gateway"), "wss://"))
	c.health(ctx, s, all)
	c.title("This month")
	now := time.Now().UTC()
	begin := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	if s.Created.After(begin) {
		begin = s.Created
	}
	c.money(c.traffic(ctx, all, begin, now), s)
	return nil
}

func markOf(s stack) string {
	if conditionOf(s.Status) == ready {
		return "✓"
	}
	return "!"
}

// health asks alarms and origins. What cannot be asked is said, and is no
// failure.
func (c *cloud) health(ctx context.Context, s stack, all []resource) {
	c.title("Now")
	c.alarms(ctx, of(all, "AWS::CloudWatch::Alarm"))
	gauges, n, err := c.gauges(ctx, s)
	switch {
	case err != nil:
		c.note("The origin was not asked: %s", firstLine(c.explain(err)))
	case n == 0:
		c.bad("No origin answers. It may be starting: run make status again in a minute, then make update")
	default:
		c.good("Origins that answer: %d, with %s and %.0f connections of the app", n, usersText(gauges), gauges["culvert_tunnels"])
	}
}

// usersText counts the users who are connected. An origin that does not count
// them has about as many carriers, as a user who is idle has one.
func usersText(gauges map[string]float64) string {
	if n, counted := gauges["culvert_users"]; counted {
		return fmt.Sprintf("%.0f users", n)
	}
	return fmt.Sprintf("about %.0f users", gauges["culvert_carriers"])
}

// alarms asks which of the stack's ring. Without any, AWS would tell of all
// that the account has.
func (c *cloud) alarms(ctx context.Context, names []string) {
	if len(names) == 0 {
		return
	}
	var ringing []string
	err := c.aws(ctx, &ringing, append([]string{"cloudwatch", "describe-alarms", "--state-value", "ALARM",
		"--query", "MetricAlarms[].AlarmName", "--alarm-names"}, names...)...)
	switch {
	case err != nil:
		c.note("Alarms not read: %s", firstLine(c.explain(err)))
	case len(ringing) == 0:
		c.good("No alarm rings")
	default:
		c.bad("Alarms ring: %s", strings.Join(ringing, ", "))
	}
}

// traffic is what the doors carried since the month began.
type traffic struct {
	down, up, requests    float64 // by CloudFront, in bytes
	messages, connections float64 // of API Gateway
	since                 time.Duration
	err                   error // what could not be asked, if anything
}

func (c *cloud) traffic(ctx context.Context, all []resource, begin, now time.Time) (t traffic) {
	t.since = now.Sub(begin)
	for _, id := range of(all, "AWS::CloudFront::Distribution") {
		edge := metric{"AWS/CloudFront", []string{"Name=DistributionId,Value=" + id, "Name=Region,Value=Global"}, c.global}
		t.add(&t.down, edge.sum, ctx, "BytesDownloaded", begin, now)
		t.add(&t.up, edge.sum, ctx, "BytesUploaded", begin, now)
		t.add(&t.requests, edge.sum, ctx, "Requests", begin, now)
	}
	for _, id := range of(all, "AWS::ApiGatewayV2::Api") {
		api := metric{"AWS/ApiGateway", []string{"Name=ApiId,Value=" + id}, c.aws}
		t.add(&t.messages, api.sum, ctx, "MessageCount", begin, now)
		t.add(&t.connections, api.sum, ctx, "ConnectCount", begin, now)
	}
	return t
}

type sum func(ctx context.Context, name string, begin, end time.Time) (float64, error)

func (t *traffic) add(to *float64, of sum, ctx context.Context, name string, begin, end time.Time) {
	n, err := of(ctx, name, begin, end)
	if *to += n; err != nil {
		t.err = err
	}
}

// metric is where CloudWatch keeps something's numbers.
type metric struct {
	namespace  string
	dimensions []string
	ask        func(context.Context, any, ...string) error
}

// sum adds up a month's days.
func (m metric) sum(ctx context.Context, name string, begin, end time.Time) (n float64, err error) {
	args := append([]string{"cloudwatch", "get-metric-statistics", "--namespace", m.namespace, "--metric-name", name,
		"--statistics", "Sum", "--period", "86400", "--start-time", begin.Format(time.RFC3339), "--end-time", end.Format(time.RFC3339),
		"--query", "Datapoints[].Sum", "--dimensions"}, m.dimensions...)
	var days []float64
	err = m.ask(ctx, &days, args...)
	for _, d := range days {
		n += d
	}
	return n, err
}

// money reckons what the month has cost until now.
func (c *cloud) money(t traffic, s stack) {
	if t.err != nil {
		c.note("Not all of the traffic could be read: %s", firstLine(c.explain(t.err)))
	}
	c.good("Stream door: %s to users, %s from them", bytesText(t.down), bytesText(t.up))
	c.good("Gateway door: %.0f messages from users, in %.0f connections", t.messages, t.connections)
	month, region, err := c.month(s)
	if err != nil {
		c.note("No estimate: %v", err)
		return
	}
	spent := month.Idle*t.since.Hours()/cost.Hours + c.carried(t, region)
	c.good("About %.2f $ until now; without any traffic a month is %.2f $", spent, month.Idle)
	c.hint("Reckoned from list prices of %s with AWS's free allowances. Your bill: https://console.aws.amazon.com/billing "+
		"(asking AWS for it from here would cost 0.01 $ each time).", cost.Date)
}

// carried is the cost of the traffic.
func (c *cloud) carried(t traffic, region string) float64 {
	prices, err := cost.List(region, "europe")
	if err != nil {
		return 0
	}
	use := cost.Use{
		cost.EdgeOut:      t.down / cost.GB,
		cost.EdgeToOrigin: t.up / cost.GB,
		cost.DataOut:      t.up / cost.GB, // goes on to WhatsApp
		cost.EdgeRequests: t.requests / 1e6,
		cost.Messages:     t.messages / 1e6,
		cost.Requests:     t.messages / 1e6,
	}
	return cost.Total(prices.Bill(use, cost.AlwaysFree))
}

func bytesText(n float64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", n/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", n/1e6)
	}
	return fmt.Sprintf("%.0f kB", n/1e3)
}
