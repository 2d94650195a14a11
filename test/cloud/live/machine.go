//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// machine is an instance: a root of its own with what a machine's scripts ask for, and a network
// of its own, on this kernel. Its units run as .ci/host proves that systemd runs them.
type machine struct {
	id, address string
	root        string
	network     *exec.Cmd       // a process that does nothing, in whose network all of the machine's run
	broke       func(time.Time) // told when connections may break, and until when
	userData    string          // what has installed a machine of a group

	mu    sync.Mutex // guards the following
	units map[string]*unit
	life  string // which state its group wants it in, as the metadata service says
}

// boot makes a machine: test/cloud/machine prepares its root and its network.
func boot(ctx context.Context, folder, id, address string, broke func(time.Time)) (*machine, error) {
	m := &machine{id: id, address: address, root: filepath.Join(folder, id, "root"), units: map[string]*unit{}, life: "InService", broke: broke}
	m.network = exec.Command("sleep", "infinity")
	m.network.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := m.network.Start(); err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, "test/cloud/machine", m.root, address, strconv.Itoa(m.network.Process.Pid)).CombinedOutput()
	if err != nil {
		m.network.Process.Kill()
		return nil, fmt.Errorf("boot %s: %w\n%s", id, err, out)
	}
	return m, nil
}

// command is a program of the machine, of its root unless who is another user.
func (m *machine) command(ctx context.Context, who *syscall.Credential, program string, args ...string) *exec.Cmd {
	as := "--userspec=+0:+0"
	if who != nil {
		as = fmt.Sprintf("--userspec=+%d:+%d", who.Uid, who.Gid)
	}
	all := []string{"--net=/proc/" + strconv.Itoa(m.network.Process.Pid) + "/ns/net", "chroot", as, "--groups=", m.root, program}
	c := exec.CommandContext(ctx, "nsenter", append(all, args...)...)
	c.Dir = "/"
	return c
}

// run lets the machine run a script, as its root, and gives what it says.
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
	c := m.command(ctx, nil, "/root/"+filepath.Base(f.Name()))
	c.Stdout, c.Stderr = &said, &said
	c.Env = []string{"PATH=" + os.Getenv("MACHINE_PATH"), "AWS_ENDPOINT_URL=" + os.Getenv("AWS_ENDPOINT_URL"), "HOME=/root"}
	err = c.Run()
	if said.Len() > 0 {
		fmt.Fprintf(os.Stderr, "live: machine %s says:\n%s", m.id, &said)
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, said.String()[max(0, said.Len()-1000):])
	}
	return nil
}

// tend does at once what a timer of the machine does every minute. A machine on which nothing is
// installed yet has no such timer.
func (m *machine) tend(ctx context.Context) error {
	if _, err := os.Lstat(filepath.Join(m.root, "opt/culvert/current")); err != nil {
		return nil
	}
	return m.run(ctx, "#!/bin/sh\nexec /opt/culvert/current/layer/tend\n")
}

// metrics is what a release says that is in service, or else nothing.
func (m *machine) metrics(ctx context.Context) string {
	out, _ := m.command(ctx, nil, "/bin/sh", "-c",
		`for n in 0 1 2 3 4 5 6 7 8 9; do curl -fs --max-time 2 "http://127.0.0.1:909$n/metrics" || true; done`).Output()
	return string(out)
}

// shutDown ends the machine as its system does: what runs is told, and has the time that its units have.
func (m *machine) shutDown() {
	var all sync.WaitGroup
	for _, name := range m.running() {
		all.Go(func() { m.stop(name, true) })
	}
	all.Wait()
	m.pullThePlug()
}

// pullThePlug ends the machine at once. Nobody is told: its network goes first. Who was served there
// hears nothing, and gives up after half a minute.
func (m *machine) pullThePlug() {
	m.broke(time.Now().Add(time.Minute))
	exec.Command("nsenter", "--net=/proc/"+strconv.Itoa(m.network.Process.Pid)+"/ns/net", "ip", "link", "set", "eth0", "down").Run()
	for _, name := range m.running() {
		m.unit(name).kill()
	}
	m.network.Process.Kill()
	m.network.Wait()
}

// lifeIs is which state the machine's group wants it in.
func (m *machine) lifeIs() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.life
}

func (m *machine) become(life string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.life = life
}

// metadataAt is every machine's metadata service.
const metadataAt = "169.254.169.254:80"

// answers are for the machine that asks. preloaded.py, which asks in the place of all, is outside of them.
func (w *world) answers(r *http.Request) map[string]string {
	all := map[string]string{
		"iam/security-credentials/": "origin",
		"iam/security-credentials/origin": `{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"ASIAMACHINE","SecretAccessKey":"of-the-machine",` +
			`"Token":"of-the-machine","Expiration":"2099-01-01T00:00:00Z","LastUpdated":"2026-01-01T00:00:00Z"}`,
	}
	if m, err := w.caller(r); err == nil {
		all["instance-id"], all["local-ipv4"], all["placement/region"] = m.id, m.address, region
		all["autoscaling/target-lifecycle-state"] = m.lifeIs()
	}
	return all
}

// metadata says to each machine what its scripts and the SDK ask for (IMDSv2).
func (w *world) metadata() http.Handler {
	const token = "standin"
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "60")
		fmt.Fprint(rw, token)
	})
	mux.HandleFunc("GET /latest/meta-data/{path...}", func(rw http.ResponseWriter, r *http.Request) {
		answer, known := w.answers(r)[r.PathValue("path")]
		if !known || r.Header.Get("X-Aws-Ec2-Metadata-Token") != token {
			http.NotFound(rw, r)
			return
		}
		io.WriteString(rw, answer)
	})
	return mux
}
