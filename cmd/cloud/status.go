package main

import (
	"context"
	"fmt"
	"strings"
	"time"
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
