package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"culvert/cmd/cloud/internal/cfn"
	"culvert/internal/term"
)

// status says how the deployment does. It changes nothing and costs nothing.
func status(ctx context.Context, c *cloud) error {
	s, err := c.standing(ctx)
	if err != nil {
		return err
	}
	mark := term.Warned
	if s.Condition() == cfn.Ready {
		mark = term.Good
	}
	c.Step(mark, 0, "%s (%s), since %s, secrets of generation %s",
		s.InWords(), s.Output("Topology"), s.Created.Format(time.DateOnly), s.Parameter("Generation"))
	all, err := c.Resources(ctx, s.ID)
	if err != nil {
		return err
	}
	for _, f := range fronts(s) {
		c.Hint("front %d  %s", f.number, f.name)
	}
	c.Hint("gateway  %s", strings.TrimPrefix(s.Output("Gateway"), "wss://"))
	c.health(ctx, s, all)
	c.Title("This month")
	now := time.Now().UTC()
	begin := latest(time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC), s.Created)
	c.money(c.traffic(ctx, all, begin, now), s, now)
	return nil
}

// health asks alarms and origins. What cannot be asked is said, and is no
// failure.
func (c *cloud) health(ctx context.Context, s cfn.Stack, all []cfn.Resource) {
	c.Title("Now")
	c.alarms(ctx, cfn.IDs(all, "AWS::CloudWatch::Alarm"))
	gauges, n, err := c.gauges(ctx, s)
	switch {
	case err != nil:
		c.Step(term.Warned, 0, "The origin was not asked: %s", firstLine(c.explain(err)))
	case n == 0:
		c.Step(term.Bad, 0, "No origin answers. It may be starting: run make status again in a minute, then make update")
		c.tellOutcomes(ctx, s)
	default:
		c.Step(term.Good, 0, "Origins that answer: %d, with %s and %.0f connections of the app", n, usersText(gauges), gauges["culvert_tunnels"])
		if strings.Contains(s.Status, "ROLLBACK") {
			c.tellOutcomes(ctx, s)
		}
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
	err := c.Call(ctx, &ringing, append([]string{"cloudwatch", "describe-alarms", "--state-value", "ALARM",
		"--query", "MetricAlarms[].AlarmName", "--alarm-names"}, names...)...)
	switch {
	case err != nil:
		c.Step(term.Warned, 0, "Alarms not read: %s", firstLine(c.explain(err)))
	case len(ringing) == 0:
		c.Step(term.Good, 0, "No alarm rings")
	default:
		c.Step(term.Bad, 0, "Alarms ring: %s", strings.Join(ringing, ", "))
	}
}

// readGauges asks each release of the origin that runs on a machine for the
// numbers that are shown; infra/host/update gives them these ports. Systems
// Manager cuts an answer at 2,500 characters, which all numbers would exceed.
const readGauges = `for p in $(seq 9090 9099); do curl -sm 3 http://127.0.0.1:$p/metrics | grep -E '^culvert_(users|tunnels|carriers) '; done; true`

// gauges adds up the numbers of all origins, and says how many machines
// answered.
func (c *cloud) gauges(ctx context.Context, s cfn.Stack) (sums map[string]float64, machines int, err error) {
	said, err := c.onMachines(ctx, s, readGauges)
	sums, machines = addUp(said)
	return sums, machines, err
}

// addUp sums the gauges in Prometheus' text form.
func addUp(answers []string) (sums map[string]float64, machines int) {
	sums = map[string]float64{}
	for _, a := range answers {
		if strings.Contains(a, "culvert_") {
			machines++
		}
		for line := range strings.Lines(a) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			if n, err := strconv.ParseFloat(value, 64); err == nil {
				sums[name] += n
			}
		}
	}
	return sums, machines
}
