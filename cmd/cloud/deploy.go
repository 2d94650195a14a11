package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"culvert/cmd/cloud/internal/advice"
	"culvert/cmd/cloud/internal/cfn"
	"culvert/internal/aws"
	"culvert/internal/term"
)

// deploy takes a clone to a link.
func deploy(ctx context.Context, c *cloud) error {
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
	s, err := c.readyToChange(ctx)
	if err != nil {
		return err
	}
	if err := c.bring(ctx, s); err != nil {
		return err
	}
	if err := c.repair(ctx); err != nil {
		return err
	}
	c.Hint("Nobody was cut off, and all links stay as they are. make status says how it does.")
	return nil
}

// rotate makes new secrets. Doing it twice by mistake, after Ctrl-C perhaps,
// would end links that are in use, so that every time but the first asks.
func rotate(ctx context.Context, c *cloud) error {
	s, err := c.readyToChange(ctx)
	if err != nil {
		return err
	}
	next, err := nextGeneration(s)
	if err != nil {
		return err
	}
	if next > 2 && !c.agrees(fmt.Sprintf("This ends all links that were made before the last rotation (generation %d). Go ahead?", next-2)) {
		return advice.New("Hand out new links first (make link USER=n). Then: make rotate YES=1",
			"rotating again ends the links made before the last rotation; nothing was changed")
	}
	c.given["Generation"] = fmt.Sprint(next)
	if err := c.bring(ctx, s); err != nil {
		return err
	}
	if err := c.signAnew(ctx); err != nil {
		return &advice.Advice{Problem: "the secrets are new, but the lists of fronts are not signed by them yet", Err: err,
			Try: "Until they are, new links hear of no list. Have them signed, which changes nothing else: make fronts RENEW=0"}
	}
	c.Hint("The secrets are new. Links made before work on until the next rotation: hand out new ones until then (make link USER=n), " +
		"and rotate again when all have theirs. Links that must stop at once: make revoke USER=n.")
	return nil
}

// nextGeneration is one more than the stack's.
func nextGeneration(s cfn.Stack) (int, error) {
	n, err := strconv.Atoi(s.Parameter("Generation"))
	if err != nil {
		return 0, advice.New("Deploy it again with this version: make deploy", "the deployment does not say of which generation its secrets are")
	}
	return n + 1, nil
}

// ready checks what can be checked before anything is made, and gives the
// stack in a state to start from.
func (c *cloud) ready(ctx context.Context) (cfn.Stack, error) {
	c.Title("Checking")
	if _, err := os.Stat(c.template); err != nil {
		return cfn.Stack{}, advice.New("Run this in Culvert's own folder, where template.yaml is.", "there is no template here")
	}
	if err := c.begin(ctx, !c.released()); err != nil {
		return cfn.Stack{}, err
	}
	if err := c.regionEnabled(ctx); err != nil {
		return cfn.Stack{}, err
	}
	s, err := c.Settle(ctx)
	if err != nil {
		return s, err
	}
	if err := c.lookUpRegion(ctx, s); err != nil {
		return s, err
	}
	c.checkRights(ctx, s)
	if err := c.checkQuotas(ctx, s); err != nil {
		return s, err
	}
	return s, c.checkOffer(ctx, s)
}

// readyToChange is ready for a stack that must have been deployed before.
func (c *cloud) readyToChange(ctx context.Context) (cfn.Stack, error) {
	s, err := c.ready(ctx)
	if err == nil && s.Condition() != cfn.Ready {
		err = c.notThere(s)
	}
	return s, err
}

// bring builds, uploads and changes the stack.
func (c *cloud) bring(ctx context.Context, s cfn.Stack) error {
	if err := c.keepsProcessor(s); err != nil {
		return err
	}
	if err := c.agreeToRemove(s); err != nil {
		return err
	}
	if arch := c.chosen("Architecture", s); arch != "" {
		c.given["Architecture"] = arch // what is built has to fit what stands
	}
	template, err := c.upload(ctx)
	if err != nil {
		return err
	}
	c.Title(deployTitle(s))
	parameters, err := c.parameters(ctx, s, template)
	if err != nil {
		return err
	}
	began := time.Now()
	switch err := c.Apply(ctx, s, template, parameters); {
	case errors.Is(err, cfn.ErrNoChange):
		c.Step(term.Good, 0, "Nothing to change: all is as it should be")
	case err != nil:
		c.tellOutcomes(ctx, s)
		return err
	default:
		c.Step(term.Good, time.Since(began), "Deployed")
	}
	return nil
}

func deployTitle(s cfn.Stack) string {
	usual := "15 to 25"
	if s.Condition() == cfn.Ready {
		usual = "3 to 10"
	}
	return "Deploying (usually " + usual + " min; pressing Ctrl-C does not stop it)"
}

// keepsProcessor refuses another architecture for the one instance that
// stands: it would be stopped, and could not start again.
func (c *cloud) keepsProcessor(s cfn.Stack) error {
	was, is := s.Parameter("Architecture"), c.chosen("Architecture", s)
	instead := map[string]string{"a": "b", "b": "a"}[s.Parameter("SoloInstance")]
	solo := s.Parameter("Topology") == "solo" && c.chosen("Topology", s) == "solo"
	if was == is || !solo || c.given["SoloInstance"] == instead {
		return nil
	}
	return advice.New(fmt.Sprintf("Let another instance take its place: make deploy ARCH=%s SET=SoloInstance=%s. Who is connected then has to connect again.", is, instead),
		"the instance cannot change its processor from %s to %s; nothing was changed", was, is)
}

// agreeToRemove asks before names go that were handed out: no other
// distribution ever gets them again.
func (c *cloud) agreeToRemove(s cfn.Stack) error {
	if !c.gives("Distributions") && !c.gives("Withdrawn") {
		return nil
	}
	stay := frontNumbers(c.chosen("Distributions", s), c.chosen("Withdrawn", s))
	for _, f := range fronts(s) {
		if slices.Contains(stay, f.number) {
			continue
		}
		if !c.agrees(fmt.Sprintf("This removes %s for ever; links that hold no other front end. Go ahead?", f)) {
			return advice.New("To go ahead, add YES=1. To keep it, deploy with Distributions and Withdrawn as they are: make status shows the fronts.",
				"these settings would remove %s; nothing was changed", f)
		}
	}
	return nil
}

// parameters are those to deploy with. The template says which there are.
func (c *cloud) parameters(ctx context.Context, s cfn.Stack, template string) ([]cfn.Parameter, error) {
	var answer struct{ Parameters []cfn.Parameter }
	err := c.Call(ctx, &answer, "cloudformation", "validate-template", "--template-body", "file://"+template)
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

const (
	buildDir = ".aws-sam/build"
	packaged = ".aws-sam/packaged.yaml"
)

// build makes the functions and the origin's layer.
func (c *cloud) build(ctx context.Context) error {
	began := time.Now()
	c.Show("… building the functions and the origin (usually 20 s, the first time 2 min)")
	defer c.Show("")
	if err := c.sam(ctx, "build", "--template", c.template, "--build-dir", buildDir); err != nil {
		return err
	}
	c.Step(term.Good, time.Since(began), "Built the functions and the origin")
	return nil
}

// upload puts what is deployed into the stack's bucket, and gives the template
// that names it there.
func (c *cloud) upload(ctx context.Context) (template string, err error) {
	if c.released() {
		return c.uploadRelease(ctx)
	}
	c.Title("Building")
	if err := c.build(ctx); err != nil {
		return "", err
	}
	if err := c.needBucket(ctx); err != nil {
		return "", err
	}
	began := time.Now()
	c.Show("… uploading (usually 20 s)")
	defer c.Show("")
	err = c.sam(ctx, "package", "--template-file", filepath.Join(buildDir, "template.yaml"),
		"--s3-bucket", c.bucket(), "--output-template-file", packaged)
	if err != nil {
		return "", err
	}
	c.Step(term.Good, time.Since(began), "Uploaded them")
	return packaged, nil
}

// buildLimit is for a slow machine and a slow line.
const buildLimit = 30 * time.Minute

func (c *cloud) sam(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	env := append(c.Env(), "SAM_CLI_TELEMETRY=0")
	if arch := c.given["Architecture"]; arch != "" {
		env = append(env, "ARCH="+arch) // the Makefile builds for it
	}
	_, err := c.Run(ctx, aws.Call{Name: c.samPath, Args: args, Env: env})
	return err
}
