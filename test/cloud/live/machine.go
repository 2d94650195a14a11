//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// machine is the instance: a root of its own with what a machine's scripts ask
// for, on this kernel. Its units run as .ci/host proves that systemd runs them.
type machine struct {
	root string

	mu    sync.Mutex // guards the following
	units map[string]*unit
}

// What the stand-in calls every instance's private address.
const machineIP = "10.0.0.10"

func newMachine(folder string) *machine {
	return &machine{root: filepath.Join(folder, "machine"), units: map[string]*unit{}}
}

type (
	associationProperties struct {
		Name    string
		Targets []struct {
			Key    string
			Values []string
		}
	}
	documentProperties struct {
		Content struct {
			MainSteps []struct {
				Action string
				Inputs struct{ RunCommand []string }
			}
		}
	}
)

// takeAssociation runs a document on the instance, as Systems Manager does.
func (w *world) takeAssociation(ctx context.Context, p part) error {
	a, err := as[associationProperties](p)
	if err != nil {
		return err
	}
	for _, t := range a.Targets {
		for _, id := range t.Values {
			if _, err := w.get("AWS::EC2::Instance", id); err != nil {
				return err
			}
		}
	}
	d, err := w.get("AWS::SSM::Document", a.Name)
	if err != nil {
		return err
	}
	document, err := as[documentProperties](d)
	if err != nil {
		return err
	}
	for _, step := range document.Content.MainSteps {
		if step.Action != "aws:runShellScript" {
			return fmt.Errorf("the action %s is not known here", step.Action)
		}
		if err := w.machine.run(ctx, strings.Join(step.Inputs.RunCommand, "\n")); err != nil {
			return err
		}
	}
	return nil
}

// run lets the machine run a script, as its root.
func (m *machine) run(ctx context.Context, script string) error {
	f, err := os.CreateTemp(filepath.Join(m.root, "root"), "script")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(script)
	if err := errors.Join(err, f.Chmod(0o700), f.Close()); err != nil {
		return err
	}
	var said bytes.Buffer
	c := exec.CommandContext(ctx, "/root/"+filepath.Base(f.Name()))
	c.Dir, c.Stdout, c.Stderr = "/", &said, &said
	c.Env = []string{"PATH=" + os.Getenv("MACHINE_PATH"), "AWS_ENDPOINT_URL=" + os.Getenv("AWS_ENDPOINT_URL"), "HOME=/root"}
	c.SysProcAttr = &syscall.SysProcAttr{Chroot: m.root}
	err = c.Run()
	fmt.Fprintf(os.Stderr, "live: the machine says:\n%s", &said)
	if err != nil {
		return fmt.Errorf("%w: %s", err, said.String()[max(0, said.Len()-1000):])
	}
	return nil
}

// tend does at once what a timer of the machine does every minute.
func (m *machine) tend(rw http.ResponseWriter, r *http.Request) {
	if err := m.run(r.Context(), "#!/bin/sh\nexec /opt/culvert/current/layer/tend\n"); err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
	}
}

// outcomes gives what the machine keeps of its installations.
func (m *machine) outcomes(rw http.ResponseWriter, _ *http.Request) {
	said, err := os.ReadFile(filepath.Join(m.root, "opt/culvert/outcomes"))
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	rw.Write(said)
}

// metadataAt is the machine's metadata service.
const metadataAt = "169.254.169.254:80"

// metadata says what the machine's scripts and the SDK ask for (IMDSv2).
func metadata() http.Handler {
	const token = "standin"
	answers := map[string]string{
		"instance-id": "i-0123456789abcdef0", "local-ipv4": machineIP, "placement/region": region,
		"iam/security-credentials/": "origin",
		"iam/security-credentials/origin": `{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"ASIAMACHINE","SecretAccessKey":"of-the-machine",` +
			`"Token":"of-the-machine","Expiration":"2099-01-01T00:00:00Z","LastUpdated":"2026-01-01T00:00:00Z"}`,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "60")
		fmt.Fprint(rw, token)
	})
	mux.HandleFunc("GET /latest/meta-data/{path...}", func(rw http.ResponseWriter, r *http.Request) {
		answer, known := answers[r.PathValue("path")]
		if !known || r.Header.Get("X-Aws-Ec2-Metadata-Token") != token {
			http.NotFound(rw, r)
			return
		}
		fmt.Fprint(rw, answer)
	})
	return mux
}
