package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// images writes the container images, if they are wanted.
func (r *release) images() error {
	if !slices.Contains(r.wants, images) {
		return nil
	}
	made := filepath.Join(r.work, "images")
	if err := r.goCommand(nil, "run", "./infra/image", made); err != nil {
		return err
	}
	for _, p := range servers {
		if err := os.Rename(filepath.Join(made, p.command+".tar"), filepath.Join(r.out, p.name+"_"+r.number()+"_oci.tar")); err != nil {
			return err
		}
	}
	return nil
}

// functions are the folders that the Makefile builds the cloud's functions into.
var functions = []string{"connect", "message", "disconnect"}

// cloud writes what a deployment on AWS uploads, if it is wanted: for each architecture the functions, and the
// layer that holds the origin and what installs it.
func (r *release) cloud() error {
	if !slices.Contains(r.wants, cloud) {
		return nil
	}
	for _, arch := range []string{"arm64", "x86_64"} {
		suffix := "_" + r.number() + "_lambda_" + arch + ".zip"
		layer := filepath.Join(r.work, "layer-"+arch)
		if err := errors.Join(os.MkdirAll(layer, 0o755), r.make("functions", arch, ""), r.make("build-OriginLayer", arch, layer)); err != nil {
			return err
		}
		for _, f := range functions {
			if err := r.zipFolder("culvert-"+f+suffix, filepath.Join(r.source(), "bin/lambda", f)); err != nil {
				return err
			}
		}
		if err := r.zipFolder("culvert-origin-layer"+suffix, layer); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) make(target, arch, artifacts string) error {
	cmd := exec.Command("make", "--no-print-directory", "-s", target, "ARCH="+arch, "ARTIFACTS_DIR="+artifacts)
	cmd.Env = plain()
	_, err := run(cmd, r.source())
	return err
}

// zipFolder packs the files of a folder. A file that its owner may run, all may run.
func (r *release) zipFolder(name, from string) error {
	var files []file
	err := fs.WalkDir(os.DirFS(from), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		files = append(files, file{path, filepath.Join(from, path), mode})
		return nil
	})
	if err != nil {
		return err
	}
	return writeZip(filepath.Join(r.out, name), r.commit, files)
}

// installer is the script that brings a server's archive onto a machine.
func (r *release) installer() error {
	script, err := os.ReadFile(filepath.Join(r.source(), "install.sh"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, "install.sh"), script, 0o644)
}

// bill writes what the programs of the first system that was made are made of: it hardly differs among them.
func (r *release) bill() error {
	first := slices.IndexFunc(systems, func(s system) bool { return slices.Contains(r.wants, s.name) })
	if first < 0 {
		return nil
	}
	s := systems[first]
	var programs []string
	for _, p := range s.programs() {
		programs = append(programs, filepath.Join(r.built(s), p.name+s.suffix()))
	}
	list, err := output(r.source(), "go", append([]string{"run", "./infra/sbom"}, programs...)...)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, "culvert_"+r.number()+"_sbom.cdx.json"), []byte(strings.TrimSpace(list)+"\n"), 0o644)
}
