package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// program is a process of ours.
type program struct {
	*exec.Cmd
	stop context.CancelFunc
	gone chan struct{} // closed when it has ended
}

// endWithin is how long a process may take to end once it is told to.
const endWithin = 15 * time.Second

// start runs a program until ctx ends, with no more environment than env. What
// it prints goes to the end of a file.
func start(ctx context.Context, log, path string, env []string, args ...string) (*program, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	ctx, stop := context.WithCancel(ctx)
	c := exec.CommandContext(ctx, path, args...)
	c.Env, c.Stdout, c.Stderr = append([]string{"HOME=" + filepath.Dir(log)}, env...), out, out
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = endWithin
	if err := c.Start(); err != nil {
		stop()
		return nil, err
	}
	p := &program{Cmd: c, stop: stop, gone: make(chan struct{})}
	go func() { defer close(p.gone); c.Wait() }()
	return p, nil
}

// end waits until the process is gone. Of none it does nothing.
func (p *program) end() {
	if p != nil {
		p.stop()
		<-p.gone
	}
}

// readyWithin is how long a program may take to listen.
const readyWithin = 10 * time.Second

// listens waits until the program takes connections.
func (p *program) listens(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-p.gone:
			return fmt.Errorf("%s has ended: %v", filepath.Base(p.Path), p.ProcessState)
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s does not listen", filepath.Base(p.Path)), err)
		}
	}
}

// pss is the memory of a process in KiB, its share of shared pages included.
func pss(pid int) int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(b)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "Pss: %d kB", &kib); err == nil {
			return kib
		}
	}
	return 0
}

// stat is what /proc says of a process; times are in seconds, which Linux
// counts in hundredths.
type stat struct {
	pid, parent int
	cpu         float64
	ended       float64 // CPU time of children that have ended
}

// readStat reads fields 4 and 14 to 17 of proc_pid_stat(5), counted from behind
// the name, which may hold spaces. A process that is gone has zeros.
func readStat(pid int) stat {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 15 {
		return stat{}
	}
	s := stat{pid: pid}
	fmt.Sscan(f[1], &s.parent)
	seconds := func(i int) float64 {
		var ticks float64
		fmt.Sscan(f[i], &ticks)
		return ticks / 100
	}
	s.cpu, s.ended = seconds(11)+seconds(12), seconds(13)+seconds(14)
	return s
}

// cpuSeconds is the CPU time of a process, without its children.
func cpuSeconds(pid int) float64 { return readStat(pid).cpu }

// childrenOf are the processes that pid has started and that are left.
func childrenOf(pid int) (all []stat) {
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, name := range names {
		var child int
		fmt.Sscan(filepath.Base(name), &child)
		if s := readStat(child); s.parent == pid && s.pid != 0 {
			all = append(all, s)
		}
	}
	return all
}

// childSeconds is the CPU time of all children that pid ever had.
func childSeconds(pid int) float64 {
	sum := readStat(pid).ended
	for _, c := range childrenOf(pid) {
		sum += c.cpu
	}
	return sum
}
