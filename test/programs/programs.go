// Package programs builds the programs for tests that run them as people do.
package programs

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Run builds culvert, edge and origin into a folder of m's own, whose name is written to bin, and
// runs m. It returns what to exit with, and has said what failed.
func Run(m *testing.M, bin *string) int {
	code, err := buildAndRun(m, bin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

func buildAndRun(m *testing.M, bin *string) (int, error) {
	var err error
	if *bin, err = os.MkdirTemp("", "culvert-programs"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(*bin)
	// As the Makefile does it, so that what was compiled before is not compiled again.
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", *bin+"/", "culvert/cmd/culvert", "culvert/cmd/edge", "culvert/cmd/origin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build: %w\n%s", err, out)
	}
	return m.Run(), nil
}
