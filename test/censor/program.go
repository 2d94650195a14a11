//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"culvert/test/censor/netns"
	"culvert/test/screen"
)

const (
	readyWithin = 20 * time.Second // for a program to listen, beside others that start
	endWithin   = 3 * time.Second  // for a program that was told to end; then it is killed
)

// program is a running process.
type program struct {
	*exec.Cmd
	space *netns.Space
	out   *screen.Screen
	gone  chan struct{}
}

// start starts a program in a namespace, with no more environment than env.
func start(space *netns.Space, env []string, path string, args ...string) (*program, error) {
	p := &program{Cmd: exec.Command(path, args...), space: space, out: screen.New(), gone: make(chan struct{})}
	p.Env, p.Stdout, p.Stderr = append(env, "PATH="+os.Getenv("PATH")), p.out, p.out
	p.WaitDelay = time.Second
	if err := space.Start(p.Cmd); err != nil {
		return nil, err
	}
	go func() { defer close(p.gone); p.Wait() }()
	return p, nil
}

// listens waits until the program takes connections in its namespace.
func (p *program) listens(ctx context.Context, addresses ...string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for _, a := range addresses {
		if err := p.wait(ctx, a); err != nil {
			return fmt.Errorf("%s at %s: %w\n%s", filepath.Base(p.Path), a, err, p.out.String())
		}
	}
	return nil
}

func (p *program) wait(ctx context.Context, address string) error {
	for {
		var c net.Conn
		err := p.space.Do(func() (err error) {
			c, err = net.DialTimeout("tcp", address, time.Second)
			return err
		})
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.gone:
			return errors.New("it has ended")
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p *program) end() {
	p.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.gone:
	case <-time.After(endWithin):
		p.Process.Kill()
		<-p.gone
	}
}

// find is the path of a program that is not ours.
func find(name string) (string, error) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is missing; .ci/tools installs it", name)
}
