package main

import (
	"bufio"
	"context"
	"strconv"
	"strings"
	"time"
)

// readGauges asks each release of the origin that runs on a machine for the
// numbers that are shown; infra/host/update gives them these ports. Systems
// Manager cuts an answer at 2,500 characters, which all numbers would exceed.
const readGauges = `for p in $(seq 9090 9099); do curl -sm 3 http://127.0.0.1:$p/metrics | grep -E '^culvert_(users|tunnels|carriers) '; done; true`

const gaugesLimit = 30 * time.Second

// gauges adds up the numbers of all origins, and says how many machines
// answered. Session Manager carries the question: no port is open for it.
func (c *cloud) gauges(ctx context.Context, s stack) (sums map[string]float64, machines int, err error) {
	var sent struct{ Command struct{ CommandId string } }
	err = c.aws(ctx, &sent, "ssm", "send-command", "--document-name", "AWS-RunShellScript",
		"--targets", target(s), "--parameters", `{"commands":["`+readGauges+`"]}`)
	if err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, gaugesLimit)
	defer cancel()
	for {
		answers, done, err := c.answers(ctx, sent.Command.CommandId)
		if err != nil || done {
			sums, machines = addUp(answers)
			return sums, machines, err
		}
		select {
		case <-ctx.Done():
			return nil, 0, nil
		case <-time.After(time.Second):
		}
	}
}

// target is the instance of solo, or the group of fleet.
func target(s stack) string {
	if origin := s.output("Origin"); !strings.HasPrefix(origin, "i-") {
		return "Key=tag:aws:autoscaling:groupName,Values=" + origin
	}
	return "Key=InstanceIds,Values=" + s.output("Origin")
}

// answers are what the machines said, once all have.
func (c *cloud) answers(ctx context.Context, id string) (said []string, done bool, err error) {
	var answer struct {
		CommandInvocations []struct {
			Status         string
			CommandPlugins []struct{ Output string }
		}
	}
	err = c.aws(ctx, &answer, "ssm", "list-command-invocations", "--command-id", id, "--details")
	done = len(answer.CommandInvocations) > 0
	for _, i := range answer.CommandInvocations {
		done = done && i.Status != "Pending" && i.Status != "InProgress" && i.Status != "Delayed"
		for _, p := range i.CommandPlugins {
			said = append(said, p.Output)
		}
	}
	return said, done, err
}

// addUp sums the gauges in Prometheus' text form.
func addUp(answers []string) (sums map[string]float64, machines int) {
	sums = map[string]float64{}
	for _, a := range answers {
		if strings.Contains(a, "culvert_") {
			machines++
		}
		for lines := bufio.NewScanner(strings.NewReader(a)); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), " ")
			if n, err := strconv.ParseFloat(value, 64); err == nil {
				sums[name] += n
			}
		}
	}
	return sums, machines
}
