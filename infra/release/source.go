package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// release is one that is being made.
type release struct {
	version string // "v1.2.0"
	work    string // folder of what is made on the way
	out     string // folder of what is published
	wants   []string

	commit time.Time // when the commit was made: the time of all files
	nfpm   string    // the program that makes packages
}

// source is the clone of the commit.
func (r *release) source() string { return filepath.Join(r.work, "source") }

// number is the version without the letter before it, as packages have it.
func (r *release) number() string { return strings.TrimPrefix(r.version, "v") }

var version = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z][0-9A-Za-z.]*)?$`)

func isVersion(v string) bool { return version.MatchString(v) }

// tagged is the version that the commit's tag names.
func tagged() (string, error) {
	out, err := exec.Command("git", "describe", "--tags", "--exact-match", "--match", "v[0-9]*").Output()
	if err != nil {
		return "", errors.New("the commit has no tag like v1.2.0: make one by 'git tag -s v1.2.0', or try a version by 'make release VERSION=v1.2.0'")
	}
	return strings.TrimSpace(string(out)), nil
}

// clone makes a clone of the commit that has the version's tag and no other, so that Go stamps the programs with
// that version, and with no word of changes that are not committed.
func (r *release) clone() error {
	head, err := output("", "git", "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"clone", "--quiet", "--no-checkout", "--no-tags", ".", r.source()},
		{"-C", r.source(), "checkout", "--quiet", "--detach", head},
		{"-C", r.source(), "-c", "tag.gpgSign=false", "tag", r.version},
	} {
		if _, err := output("", "git", args...); err != nil {
			return err
		}
	}
	seconds, err := output(r.source(), "git", "log", "-1", "--format=%ct")
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	r.commit = time.Unix(n, 0).UTC()
	return err
}

// output runs a program in a folder, and returns what it prints, without the last line's end.
func output(folder, name string, args ...string) (string, error) {
	return run(exec.Command(name, args...), folder)
}

// run ends with what the program said if it fails.
func run(cmd *exec.Cmd, folder string) (string, error) {
	var out, complaints bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, &out, &complaints
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args, " "), err, complaints.String(), out.String())
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// plain is the environment of the go command: no setting of this machine's changes what it makes.
// GOFLAGS says what is so anyway: were it empty, what "go env -w" has set would count.
func plain() []string {
	return append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOFIPS140=off", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GO386=sse2", "GORISCV64=rva20u64")
}

// goCommand is the go command in the clone.
func (r *release) goCommand(env []string, args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Env = append(plain(), env...)
	_, err := run(cmd, r.source())
	return err
}
