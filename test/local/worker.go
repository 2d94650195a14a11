package local

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// Worker is the edge as a Cloudflare Worker, in a process of workerd, the
// runtime of Cloudflare Workers.
type Worker struct {
	Program string // workerd, in the version of edge/worker/package.json

	secret string // the gate's
	keys   wire.GateKeys
}

// workerConfig is what workerd runs, from the folder of a clone.
const workerConfig = "edge/worker/workerd.capnp"

// NewWorker makes a gate secret, too, and says what is missing before anything is started.
func NewWorker(program string) (*Worker, error) {
	if _, err := os.Stat(workerConfig); err != nil {
		return nil, fmt.Errorf("%w: run this in the folder of a clone", err)
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("%w: 'make worker' installs workerd", err)
	}
	w := &Worker{Program: path, secret: (rand.Text() + rand.Text() + rand.Text())[:64]}
	w.keys, err = wire.ParseGateKeys(w.secret)
	return w, err
}

// Master is m for the Worker's gate.
func (w *Worker) Master(m seal.Master) seal.Master { return m.WithGate(w.keys[0]) }

// startLimit is how long workerd may take to read its modules and listen.
const startLimit = 20 * time.Second

// startWorker starts the Worker before the origin, and returns its host:port.
func (r *Relay) startWorker() (at string, err error) {
	said, tell, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer said.Close()
	p := exec.Command(r.Worker.Program, "serve", workerConfig, "--socket-addr", "http=127.0.0.1:0", "--control-fd=3")
	p.Env = []string{"ORIGIN=http://" + r.OriginAt.String(), "GATE_SECRETS=" + r.Worker.secret}
	p.ExtraFiles, p.Stdout, p.Stderr = []*os.File{tell}, io.Discard, io.Discard
	err = p.Start()
	tell.Close()
	if err != nil {
		return "", err
	}
	r.run(func(ctx context.Context) error { return attend(ctx, p) })
	said.SetReadDeadline(time.Now().Add(startLimit))
	return listening(said)
}

// attend waits for p, and ends it with ctx.
func attend(ctx context.Context, p *exec.Cmd) error {
	stop := context.AfterFunc(ctx, func() { p.Process.Signal(syscall.SIGTERM) })
	defer stop()
	if err := p.Wait(); ctx.Err() == nil {
		return errors.Join(errors.New("workerd has ended"), err)
	}
	return nil
}

// listening reads where workerd listens from what it says of itself.
func listening(said io.Reader) (at string, err error) {
	for lines := bufio.NewScanner(said); lines.Scan(); {
		var event struct {
			Event, Socket string
			Port          int
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err == nil && strings.HasPrefix(event.Event, "listen") && event.Socket == "http" {
			return net.JoinHostPort("127.0.0.1", fmt.Sprint(event.Port)), nil
		}
	}
	return "", errors.New("workerd does not start: 'make worker' has one that does")
}
