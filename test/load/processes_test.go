package main

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
)

func TestAChildIsFoundUntilItHasEnded(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("/proc is Linux's")
	}
	c := exec.CommandContext(t.Context(), "cat")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	found := func() bool {
		return slices.ContainsFunc(childrenOf(os.Getpid()), func(s stat) bool { return s.pid == c.Process.Pid })
	}
	if !found() {
		t.Error("got no child, want one")
	}
	in.Close()
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if found() {
		t.Error("got a child that has ended")
	}
}

func TestWhatIsGoneHasUsedNothing(t *testing.T) {
	t.Parallel()
	if got := readStat(-1); got != (stat{}) {
		t.Errorf("got %+v, want zeros", got)
	}
}
