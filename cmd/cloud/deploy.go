package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"
)

// deploy takes a clone to a link.
func deploy(ctx context.Context, c *cloud) error {
	c.title("Checking")
	s, err := c.ready(ctx)
	if err != nil {
		return err
	}
	c.estimate(s)
	if err := c.bring(ctx, s); err != nil {
		return err
	}
	return c.firstLink(ctx)
}

// update brings a new origin and new functions to a stack that stands, with
// the settings that it has. The origin itself cuts nobody off: the old one
// goes on until its users have moved to the new one.
func update(ctx context.Context, c *cloud) error {
	c.title("Checking")
	s, err := c.ready(ctx)
	if err != nil {
		return err
	}
	if conditionOf(s.Status) != ready {
		return c.notThere(s)
	}
	if err := c.bring(ctx, s); err != nil {
		return err
	}
	c.hint("Nobody was cut off, and all links stay as they are. make status says how it does.")
	return nil
}

// rotate makes new secrets. Doing it twice by mistake, after Ctrl-C perhaps,
// would end links that are in use, so that every time but the first asks.
func rotate(ctx context.Context, c *cloud) error {
	c.title("Checking")
	s, err := c.ready(ctx)
	if err != nil {
		return err
	}
	if conditionOf(s.Status) != ready {
		return c.notThere(s)
	}
	next, err := nextGeneration(s)
	if err != nil {
		return err
	}
	if next > 2 && !c.ask(fmt.Sprintf("This ends all links that were made before the last rotation (generation %d). Go ahead?", next-2)) {
		return advise("Hand out new links first (make link USER=n). Then: make rotate YES=1",
			"rotating again ends the links made before the last rotation; nothing was changed")
	}
	c.given["Generation"] = fmt.Sprint(next)
	if err := c.bring(ctx, s); err != nil {
		return err
	}
	c.hint("The secrets are new. Links made before work on until the next rotation: hand out new ones until then (make link USER=n), " +
		"and rotate again when all have theirs. Links that must stop at once: make revoke USER=n.")
	return nil
}

// nextGeneration is one more than the stack's.
func nextGeneration(s stack) (int, error) {
	n, err := strconv.Atoi(s.parameter("Generation"))
	if err != nil {
		return 0, advise("Deploy it again with this version: make deploy", "the deployment does not say of which generation its secrets are")
	}
	return n + 1, nil
}

// ready checks what can be checked before anything is made, and gives the
// stack in a state to start from.
func (c *cloud) ready(ctx context.Context) (stack, error) {
	if _, err := os.Stat(c.template); err != nil {
		return stack{}, advise("Run this in Culvert's own folder, where template.yaml is.", "there is no template here")
	}
	if err := c.needTools(ctx, true); err != nil {
		return stack{}, err
	}
	if err := c.signIn(ctx); err != nil {
		return stack{}, err
	}
	if err := c.regionEnabled(ctx); err != nil {
		return stack{}, err
	}
	s, err := c.settle(ctx)
	if err != nil {
		return s, err
	}
	return s, c.checkQuotas(ctx, s)
}

// bring builds, uploads and changes the stack.
func (c *cloud) bring(ctx context.Context, s stack) error {
	if err := c.keepsProcessor(s); err != nil {
		return err
	}
	if err := c.agreeToRemove(s); err != nil {
		return err
	}
	if arch := c.chosen("Architecture", s); arch != "" {
		c.given["Architecture"] = arch // what is built has to fit what stands
	}
	c.title("Building")
	if err := c.build(ctx); err != nil {
		return err
	}
	template, err := c.upload(ctx)
	if err != nil {
		return err
	}
	c.title(deployTitle(s))
	parameters, err := c.parameters(ctx, s, template)
	if err != nil {
		return err
	}
	began := time.Now()
	switch err := c.apply(ctx, s, template, parameters); {
	case errors.Is(err, errNoChange):
		c.good("Nothing to change: all is as it should be")
	case err != nil:
		return err
	default:
		c.done(began, "Deployed")
	}
	return nil
}

func deployTitle(s stack) string {
	if conditionOf(s.Status) == ready {
		return "Deploying (usually 3 to 10 min; pressing Ctrl-C does not stop it)"
	}
	return "Deploying (usually 15 to 25 min; pressing Ctrl-C does not stop it)"
}

// parameters are those to deploy with. The template says which there are.
func (c *cloud) parameters(ctx context.Context, s stack, template string) ([]parameter, error) {
	var answer struct{ Parameters []parameter }
	err := c.aws(ctx, &answer, "cloudformation", "validate-template", "--template-body", "file://"+template)
	if err != nil {
		return nil, err
	}
	var known []string
	for _, p := range answer.Parameters {
		known = append(known, p.ParameterKey)
	}
	slices.Sort(known)
	return c.parametersFor(s, known)
}
