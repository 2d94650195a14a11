package main

import (
	"context"
	"strings"
	"time"

	"culvert/cmd/cloud/internal/advice"
	"culvert/cmd/cloud/internal/cfn"
	"culvert/internal/aws"
	"culvert/internal/term"
)

// readOutcomes prints how the last installations on a machine ended, one a
// line, as infra/host/install keeps them.
const readOutcomes = `tail -n 3 /opt/culvert/outcomes 2>/dev/null; true`

// tellOutcomes says what the machine says of its last installations. It is for
// when something went wrong: nothing is said where nothing is known.
func (c *cloud) tellOutcomes(ctx context.Context, s cfn.Stack) {
	if !strings.HasPrefix(s.Output("Origin"), "i-") {
		return
	}
	said, err := c.onMachines(ctx, s, readOutcomes)
	switch text := strings.TrimSpace(strings.Join(said, "\n")); {
	case err != nil:
		c.Step(term.Warned, 0, "The machine was not asked what it says: %s", firstLine(c.explain(err)))
	case text != "":
		c.Hint("The machine says of what was installed on it, the last at the end (UTC):")
		c.Quote(text)
	}
}

const (
	repairLimit = 10 * time.Minute // an installation may take longer than a command of Systems Manager's
	repairPause = 10 * time.Second
)

// repair has the one machine installed anew if nothing on it answers, which
// CloudFormation does not do where nothing changes.
func (c *cloud) repair(ctx context.Context) error {
	s, all, err := c.parts(ctx)
	if err != nil {
		return err
	}
	if _, n, err := c.gauges(ctx, s); err != nil || n > 0 {
		return err
	}
	installs := cfn.IDs(all, "AWS::SSM::Association")
	if len(installs) == 0 {
		return advice.New("Machines of a fleet replace each other when one does not answer for some minutes: make status", "no origin answers")
	}
	c.Step(term.Warned, 0, "The origin does not answer: installing it once more on its machine")
	if err := c.Call(ctx, nil, append([]string{"ssm", "start-associations-once", "--association-ids"}, installs...)...); err != nil {
		return err
	}
	began := time.Now()
	if c.answersWithin(ctx, s, repairLimit) {
		c.Step(term.Good, time.Since(began), "The origin answers")
		return nil
	}
	c.tellOutcomes(ctx, s)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return advice.New(c.Fill("Let another machine take its place: make deploy STACK={stack} SET=SoloInstance=b, or a if it is b."),
		"the origin does not answer after it was installed once more")
}

// parts are the stack as it is now, with all that is in it.
func (c *cloud) parts(ctx context.Context) (cfn.Stack, []cfn.Resource, error) {
	s, err := c.Describe(ctx, c.Stack)
	if err != nil {
		return s, nil, err
	}
	all, err := c.Resources(ctx, s.ID)
	return s, all, err
}

// answersWithin waits for an origin that answers.
func (c *cloud) answersWithin(ctx context.Context, s cfn.Stack, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for aws.Pause(ctx, repairPause) == nil {
		if _, n, err := c.gauges(ctx, s); err == nil && n > 0 {
			return true
		}
	}
	return false
}

const answerLimit = 30 * time.Second

// onMachines runs a command on all machines of the deployment, and gives what
// those printed that answered. Session Manager carries the question: no port is
// open for it.
func (c *cloud) onMachines(ctx context.Context, s cfn.Stack, command string) ([]string, error) {
	var sent struct{ Command struct{ CommandId string } }
	err := c.Call(ctx, &sent, "ssm", "send-command", "--document-name", "AWS-RunShellScript",
		"--targets", target(s), "--parameters", `{"commands":["`+command+`"]}`)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	for {
		answers, done, err := c.answers(ctx, sent.Command.CommandId)
		if err != nil || done {
			return answers, err
		}
		if aws.Pause(ctx, time.Second) != nil {
			return nil, nil
		}
	}
}

// target is the instance of solo, or the group of fleet.
func target(s cfn.Stack) string {
	if origin := s.Output("Origin"); !strings.HasPrefix(origin, "i-") {
		return "Key=tag:aws:autoscaling:groupName,Values=" + origin
	}
	return "Key=InstanceIds,Values=" + s.Output("Origin")
}

// answers are what the machines said, once all have.
func (c *cloud) answers(ctx context.Context, id string) (said []string, done bool, err error) {
	var answer struct {
		CommandInvocations []struct {
			Status         string
			CommandPlugins []struct{ Output string }
		}
	}
	err = c.Call(ctx, &answer, "ssm", "list-command-invocations", "--command-id", id, "--details")
	done = len(answer.CommandInvocations) > 0
	for _, i := range answer.CommandInvocations {
		done = done && i.Status != "Pending" && i.Status != "InProgress" && i.Status != "Delayed"
		for _, p := range i.CommandPlugins {
			said = append(said, p.Output)
		}
	}
	return said, done, err
}
