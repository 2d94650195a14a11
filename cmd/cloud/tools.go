package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// tools are the command lines, as paths.
type tools struct {
	awsPath, samPath, culvertPath string
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
	c.awsPath, foundAWS = c.look("aws")
	c.samPath, foundSAM = c.look("sam")
	c.culvertPath = filepath.Join("bin", "culvert")
	if foundAWS && (foundSAM || !sam) {
		return nil
	}
	return c.offerTools(ctx)
}

const byHand = "  python3 -m venv " + venv + "\n  " + venv + "/bin/pip install -r " + requirements

// offerTools installs both, for they have to fit each other.
func (c *cloud) offerTools(ctx context.Context) error {
	python, err := exec.LookPath("python3")
	if err != nil {
		return advise("Install Python 3.9 or newer with its venv module (on Debian: sudo apt-get install python3-venv; on macOS: "+
			"xcode-select --install) and run this again, or install both as AWS says: https://aws.amazon.com/cli and https://aws.amazon.com/serverless/sam",
			"the AWS and SAM command lines are missing, and so is Python to install them")
	}
	c.note("The AWS or the SAM command line is missing.")
	if !c.ask(fmt.Sprintf("Install both into %s of this folder (500 MB, some minutes)?", venv)) {
		return advise("Run these, then this again, or let this do it: YES=1\n"+byHand, "the AWS or the SAM command line is missing")
	}
	if err := c.install(ctx, python); err != nil {
		os.RemoveAll(venv) // half of them is worse than none
		return &advice{"the command lines could not be installed", "Is this machine online? By hand:\n" + byHand, err}
	}
	c.awsPath, c.samPath = filepath.Join(venv, "bin", "aws"), filepath.Join(venv, "bin", "sam")
	return nil
}

// runnable makes aws commands that are shown right for who has none on PATH.
// Ours is of version 1, which cannot log in by single sign-on.
func (c *cloud) runnable(try string) string {
	if c.awsPath != filepath.Join(venv, "bin", "aws") {
		return try
	}
	login, set := "\n  aws sso", "\n  aws configure sso"
	return strings.NewReplacer(login, login, set, set, "\n  aws ", "\n  "+c.awsPath+" ").Replace(try)
}

func (c *cloud) install(ctx context.Context, python string) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	c.show("… installing the AWS and SAM command lines")
	defer c.show("")
	if _, err := c.run(ctx, call{name: python, args: []string{"-m", "venv", venv}}); err != nil {
		return err
	}
	pip := filepath.Join(venv, "bin", "pip")
	if _, err := c.run(ctx, call{name: pip, args: []string{"install", "--quiet", "--requirement", requirements}}); err != nil {
		return err
	}
	c.done(began, "AWS and SAM command lines, in %s", venv)
	return nil
}
