//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// scratch is where a run keeps its files: memory of its own that is mounted in its
// own mount namespace, over a folder that stays empty for all others.
const scratch = "/run/culvert-censor"

// inside marks the environment of the process that sandboxed starts.
const inside = "CULVERT_CENSOR_INSIDE=1"

// sandboxed runs f in another process of the same program, which is the first of
// a PID namespace of its own: when it ends, the kernel kills all that it has
// started. It is killed when this process ends, by whatever signal.
func sandboxed(f func() (int, error)) (int, error) {
	if os.Getenv("CULVERT_CENSOR_INSIDE") != "" {
		if err := mountScratch(); err != nil {
			return 1, err
		}
		return f()
	}
	if os.Getuid() != 0 {
		return 1, errors.New("only root makes namespaces")
	}
	runtime.LockOSThread() // Pdeathsig counts from the end of the thread that starts the process
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Args[0] = os.Args[0]
	c.Env = append(os.Environ(), inside)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := c.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}

func mountScratch() error {
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to ourselves: %w", err)
	}
	if err := syscall.Mount("censor", scratch, "tmpfs", 0, "mode=700,size=512m"); err != nil {
		return fmt.Errorf("mount %s: %w", scratch, err)
	}
	return nil
}
