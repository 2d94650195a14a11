package main

import (
	"os"
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

// asTheyAre are files of the source that a release has as they are, for whoever has no clone: the script that brings a server's
// archive onto a machine, what has cloud-init do so, and what has Compose run the images.
var asTheyAre = []string{"install.sh", "infra/cloud-init/user-data.yaml", "infra/image/compose.yaml"}

// copies writes them.
func (r *release) copies() error {
	for _, name := range asTheyAre {
		text, err := os.ReadFile(filepath.Join(r.source(), name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(r.out, filepath.Base(name)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
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
