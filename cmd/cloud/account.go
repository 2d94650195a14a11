package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"culvert/cmd/cloud/internal/advice"
	"culvert/cmd/cloud/internal/cfn"
	"culvert/internal/aws"
	"culvert/internal/term"
)

// tools are where the other command lines are, as paths, and how to look for
// one.
type tools struct {
	samPath, culvertPath string
	look                 func(name string) (path string, found bool)
}

// venv is where the command lines are put if the machine has none; git
// ignores it, and deleting it removes them.
const venv = ".venv-cloud"

const requirements = "infra/requirements.txt"

// find looks for a command line on PATH, then in venv.
func find(name string) (string, bool) {
	if path, err := exec.LookPath(name); err == nil {
		return path, true
	}
	path := filepath.Join(venv, "bin", name)
	_, err := os.Stat(path)
	return path, err == nil
}

// needTools finds the command lines, and offers to install those that are not
// there. SAM's is needed by what builds.
func (c *cloud) needTools(ctx context.Context, sam bool) error {
	var foundAWS, foundSAM bool
	c.Path, foundAWS = c.look("aws")
	c.samPath, foundSAM = c.look("sam")
	c.culvertPath = filepath.Join("bin", "culvert")
	if foundAWS && (foundSAM || !sam) {
		return nil
	}
	return c.offerTools(ctx)
}

const byHand = "  python3 -m venv " + venv + "\n  " + venv + "/bin/pip install --no-deps --require-hashes -r " + requirements

// offerTools installs both, for they have to fit each other. A release needs
// AWS's alone, which everybody has a package of.
func (c *cloud) offerTools(ctx context.Context) error {
	if c.released() {
		return advice.New("Install it as AWS says: https://aws.amazon.com/cli. Or run this in AWS CloudShell, which has it.", "the AWS command line is missing")
	}
	if runtime.GOOS == "windows" {
		return advice.New(subsystem, "the AWS and SAM command lines are missing, and what installs them is for Linux and macOS")
	}
	python, found := c.look("python3")
	if !found {
		return advice.New(newerPython, "the AWS and SAM command lines are missing, and so is Python to install them")
	}
	if err := c.newEnough(ctx, python); err != nil {
		return err
	}
	c.Step(term.Warned, 0, "The AWS or the SAM command line is missing.")
	if !c.agrees(fmt.Sprintf("Install both into %s of this folder (500 MB, some minutes)?", venv)) {
		return advice.New("Run these, then this again, or let this do it: YES=1\n"+byHand, "the AWS or the SAM command line is missing")
	}
	if err := c.install(ctx, python); err != nil {
		os.RemoveAll(venv) // half of them is worse than none
		return &advice.Advice{Problem: "the command lines could not be installed", Try: "Is this machine online? By hand:\n" + byHand, Err: err}
	}
	c.Path, c.samPath = filepath.Join(venv, "bin", "aws"), filepath.Join(venv, "bin", "sam")
	return nil
}

const subsystem = "In PowerShell: wsl --install. Then run this again in the Linux that it brings (WSL), in a clone of its own, with make, git and Go."

const newerPython = "Install Python 3.10 or newer with its venv module (on Debian: sudo apt-get install python3-venv; on macOS: " +
	"from https://www.python.org/downloads, or brew install python, as Apple's own is older) so that python3 is that one, and run this again, " +
	"or install both as AWS says: https://aws.amazon.com/cli and https://aws.amazon.com/serverless/sam"

// newEnough refuses a Python for which the command lines in requirements are not made.
func (c *cloud) newEnough(ctx context.Context, python string) error {
	said, err := c.Run(ctx, aws.Call{Name: python, Args: []string{"-c", "import sys; print('%d.%d' % sys.version_info[:2])"}})
	if err != nil {
		return &advice.Advice{Problem: "the AWS and SAM command lines are missing, and Python to install them does not run", Try: newerPython, Err: err}
	}
	version := strings.TrimSpace(string(said))
	var major, minor int
	if n, err := fmt.Sscanf(version, "%d.%d", &major, &minor); n < 2 || err != nil || major < 3 || major == 3 && minor < 10 {
		return advice.New(newerPython, "the AWS and SAM command lines are missing, and Python here is too old to install them: %.20s", version)
	}
	return nil
}

// runnable makes aws commands that are shown right for who has none on PATH.
// Ours is of version 1, which cannot log in by single sign-on.
func (c *cloud) runnable(try string) string {
	if c.Path != filepath.Join(venv, "bin", "aws") {
		return try
	}
	login, set := "\n  aws sso", "\n  aws configure sso"
	return strings.NewReplacer(login, login, set, set, "\n  aws ", "\n  "+c.Path+" ").Replace(try)
}

func (c *cloud) install(ctx context.Context, python string) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	c.Show("… installing the AWS and SAM command lines")
	defer c.Show("")
	if _, err := c.Run(ctx, aws.Call{Name: python, Args: []string{"-m", "venv", venv}}); err != nil {
		return err
	}
	pip := filepath.Join(venv, "bin", "pip")
	if _, err := c.Run(ctx, aws.Call{Name: pip, Args: []string{"install", "--quiet", "--no-deps", "--require-hashes", "--requirement", requirements}}); err != nil {
		return err
	}
	c.Step(term.Good, time.Since(began), "AWS and SAM command lines, in %s", venv)
	return nil
}

// account is who pays for the deployment, and who works on it.
type account struct {
	ID  string `json:"Account"`
	Arn string
}

// who is the last part of the ARN: the name of a user or a role.
func (a account) who() string { return a.Arn[strings.LastIndexByte(a.Arn, '/')+1:] }

// isRoot says whether the credentials are of the account's owner, who may do
// everything and cannot be restricted.
func (a account) isRoot() bool { return strings.HasSuffix(a.Arn, ":root") }

// defaultRegion is the one with the lowest prices.
const defaultRegion = "us-east-1"

// signIn finds out which account and region this is about.
func (c *cloud) signIn(ctx context.Context) error {
	if c.Region == "" {
		c.Region = c.configuredRegion(ctx)
	}
	if err := c.Call(ctx, &c.account, "sts", "get-caller-identity"); err != nil {
		return err
	}
	c.Step(term.Good, 0, "Account %s, as %s, region %s, stack %s", c.account.ID, c.account.who(), c.Region, c.Stack)
	if c.account.isRoot() {
		c.Step(term.Warned, 0, "These are the account's root credentials. They work; an administrator's role is safer.")
	}
	return nil
}

// configuredRegion is the environment's region, or the profile's: the command
// line prints the profile's as it is, and fails if there is none.
func (c *cloud) configuredRegion(ctx context.Context) string {
	if region := cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")); region != "" && c.Profile == "" {
		return region
	}
	b, err := c.Answer(ctx, "configure", "get", "region")
	if region := strings.TrimSpace(string(b)); err == nil && regionName.MatchString(region) {
		return region
	}
	return defaultRegion
}

// regionEnabled refuses a region that the account has not switched on.
func (c *cloud) regionEnabled(ctx context.Context) error {
	var answer struct {
		Regions []struct{ OptInStatus string }
	}
	err := c.CallGlobal(ctx, &answer, "ec2", "describe-regions", "--all-regions", "--region-names", c.Region)
	if err != nil {
		return err
	}
	if len(answer.Regions) == 1 && answer.Regions[0].OptInStatus == "not-opted-in" {
		return advice.New(c.Fill("Enable it and wait some minutes:\n  aws account enable-region --region-name {region}\nor take another, such as REGION=eu-central-1."),
			"region %s is not enabled for the account", c.Region)
	}
	return nil
}

// begin finds the command lines, SAM's only if it is needed, and signs in.
func (c *cloud) begin(ctx context.Context, sam bool) error {
	if err := c.needTools(ctx, sam); err != nil {
		return err
	}
	return c.signIn(ctx)
}

// standing signs in and gives the stack, which must have been deployed. It may
// be changing just now.
func (c *cloud) standing(ctx context.Context) (cfn.Stack, error) {
	if err := c.begin(ctx, false); err != nil {
		return cfn.Stack{}, err
	}
	s, err := c.Describe(ctx, c.Stack)
	if err == nil && len(s.Outputs) == 0 {
		err = c.notThere(s)
	}
	return s, err
}

// notThere says how to get a deployment.
func (c *cloud) notThere(s cfn.Stack) error {
	if s.Condition() == cfn.Absent {
		return advice.New("Make it: make deploy. Or name another: STACK=name, REGION=name, PROFILE=name.",
			"there is no deployment %s in region %s", c.Stack, c.Region)
	}
	return advice.New("Run make deploy: it goes on from here.", "the deployment %s is not complete: %s", c.Stack, s.InWords())
}
