package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// program is one of ours and how it is called where it is installed: "origin" says nothing there.
type program struct{ command, name string }

var (
	client  = program{"culvert", "culvert"}
	servers = []program{{"origin", "culvert-origin"}, {"edge", "culvert-edge"}}
)

// clientTags are those of the Makefile's GOFLAGS_CLIENT.
const clientTags = "nethttpomithttp2"

// systems makes programs, archives and packages of each system that is wanted.
func (r *release) systems() error {
	for _, s := range systems {
		if !slices.Contains(r.wants, s.name) {
			continue
		}
		if err := errors.Join(r.build(s), r.archives(s), r.packages(s)); err != nil {
			return err
		}
	}
	return nil
}

// built is where a system's programs are, by the names that they are installed by.
func (r *release) built(s system) string { return filepath.Join(r.work, s.path()) }

// path is the system's name as file names have it: "linux_armv6".
func (s system) path() string { return strings.ReplaceAll(s.name, "/", "_") }

func (s system) isWindows() bool { return strings.HasPrefix(s.name, "windows/") }

// suffix is what the names of programs end in.
func (s system) suffix() string {
	if s.isWindows() {
		return ".exe"
	}
	return ""
}

// programs are those that are made for the system.
func (s system) programs() []program {
	if !s.server {
		return []program{client}
	}
	return append([]program{client}, servers...)
}

// build compiles as "make build" does, so that whoever has the tag and the same Go can compare the bytes.
func (r *release) build(s system) error {
	folder := r.built(s) + string(filepath.Separator)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	flags := []string{"build", "-trimpath", "-buildvcs=true", "-ldflags", "-s -w", "-o", folder}
	if err := r.goCommand(s.env, append(flags, "-tags", clientTags, "./cmd/"+client.command)...); err != nil || !s.server {
		return err
	}
	for _, p := range servers {
		flags = append(flags, "./cmd/"+p.command)
	}
	if err := r.goCommand(s.env, flags...); err != nil {
		return err
	}
	for _, p := range servers {
		if err := os.Rename(folder+p.command+s.suffix(), folder+p.name+s.suffix()); err != nil {
			return err
		}
	}
	return nil
}
