package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// docker runs functions as "sam local invoke" does.
type docker struct {
	sam     string
	gateway netip.Addr
	dir     string // of what was built, and of settings
}

var errNoDocker = errors.New(`no Docker engine runs here. To get one:
  Debian, Ubuntu:  sudo apt-get install docker.io && sudo usermod -aG docker $USER   (then log in again)
  others:          https://docs.docker.com/engine/install/`)

var errNoSAM = errors.New(`the command sam is missing. To get it:
  python3 -m venv .venv-cloud && .venv-cloud/bin/pip install -r infra/requirements.txt`)

// findDocker wants an engine on this machine, with a network from which
// functions reach the origin.
func findDocker(ctx context.Context) (*docker, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", "network", "inspect", "bridge", "--format",
		"{{range .IPAM.Config}}{{.Gateway}} {{end}}").Output()
	if err != nil {
		return nil, errNoDocker
	}
	for _, word := range strings.Fields(string(out)) {
		if ip, err := netip.ParseAddr(word); err == nil && ip.Is4() {
			return withSAM(ip)
		}
	}
	return nil, errNoDocker
}

func withSAM(gateway netip.Addr) (*docker, error) {
	for _, name := range []string{*samPath, ".venv-cloud/bin/sam", "sam"} {
		if path, err := exec.LookPath(name); err == nil {
			return &docker{sam: path, gateway: gateway}, nil
		}
	}
	return nil, errNoSAM
}

func (d *docker) host() netip.Addr { return d.gateway }

func (d *docker) prepare(ctx context.Context, settings map[string]string) (err error) {
	if d.dir, err = os.MkdirTemp("", "culvert-invoke"); err != nil {
		return err
	}
	perFunction := map[string]map[string]string{}
	for _, f := range functions {
		perFunction[string(f)+"Function"] = settings
	}
	b, err := json.Marshal(perFunction)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(d.dir, "settings"), b, 0o600); err != nil {
		return err
	}
	fmt.Println("building with", d.sam)
	build := d.command(ctx, "build", "--build-dir", filepath.Join(d.dir, "build"))
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("sam build: %w\n%s", err, out)
	}
	return withoutStacks(d.template())
}

func (d *docker) template() string { return filepath.Join(d.dir, "build", "template.yaml") }

// withoutStacks takes nested stacks out of what was built: there is no function
// in them, and SAM reads all of them anew for every event, for a second.
func withoutStacks(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var t map[string]any
	if err := yaml.Unmarshal(b, &t); err != nil {
		return fmt.Errorf("read what sam has built: %w", err)
	}
	resources, _ := t["Resources"].(map[string]any)
	maps.DeleteFunc(resources, func(_ string, r any) bool {
		m, _ := r.(map[string]any)
		return m["Type"] == "AWS::CloudFormation::Stack"
	})
	if b, err = yaml.Marshal(t); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

// command is sam's, for this machine's processor.
func (d *docker) command(ctx context.Context, args ...string) *exec.Cmd {
	arch := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[goruntime.GOARCH]
	c := exec.CommandContext(ctx, d.sam, append(args, "--parameter-overrides", "Architecture="+arch)...)
	c.Env = append(os.Environ(), "ARCH="+arch, "SAM_CLI_TELEMETRY=0", "AWS_DEFAULT_REGION=eu-central-1")
	return c
}

// keepsLogs is false: SAM now and then ends before it has shown what was logged.
func (d *docker) keepsLogs() bool { return false }

// takesSeconds is true: each event has a container of its own, and SAM reads the template for it.
func (d *docker) takesSeconds() bool { return true }

func (d *docker) close() { os.RemoveAll(d.dir) }

// invoke asks again if SAM shows nothing: now and then it ends before it has shown
// the reply, and to a function, as to the origin, twice is once.
func (d *docker) invoke(ctx context.Context, f function, event []byte) (reply, log []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute) // the first one builds an image
	defer cancel()
	for try := 1; try <= 3 && err == nil && len(reply) == 0; try++ {
		reply, log, err = d.invokeOnce(ctx, f, event)
	}
	return reply, log, err
}

func (d *docker) invokeOnce(ctx context.Context, f function, event []byte) (reply, log []byte, err error) {
	c := d.command(ctx, "local", "invoke", string(f)+"Function", "--event", "-", "--skip-pull-image",
		"--template", d.template(), "--env-vars", filepath.Join(d.dir, "settings"))
	var out, errs bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(event), &out, &errs
	if err := c.Run(); err != nil && !json.Valid(out.Bytes()) {
		return nil, errs.Bytes(), fmt.Errorf("sam local invoke: %w", err)
	}
	return bytes.TrimSpace(out.Bytes()), errs.Bytes(), nil
}
