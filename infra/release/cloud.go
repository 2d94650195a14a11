package main

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// architectures are those that functions and machines are made for, by CloudFormation's names.
var architectures = []string{"arm64", "x86_64"}

// functions are the folders that the Makefile builds the cloud's functions into.
var functions = []string{"connect", "message", "disconnect"}

// functionResources are the functions as template.yaml calls them.
func functionResources() (names []string) {
	for _, f := range functions {
		names = append(names, strings.ToUpper(f[:1])+f[1:]+"Function")
	}
	return names
}

// cloud writes what brings a release to AWS without building anything, if it is wanted: one archive with the programs
// for AWS CloudShell, which is Linux on amd64, the templates, and all that these take from a bucket.
func (r *release) cloud() error {
	if !slices.Contains(r.wants, cloud) {
		return nil
	}
	a := artefacts{filepath.Join(r.work, "artifacts")}
	if err := os.MkdirAll(a.folder, 0o755); err != nil {
		return err
	}
	uploads, err := r.uploads(a)
	if err != nil {
		return err
	}
	p := packer{artefacts: a, uploads: uploads, done: map[string]nested{}}
	root, err := p.root(filepath.Join(r.source(), "template.yaml"))
	if err != nil {
		return err
	}
	return r.bundle(a, root)
}

// uploads makes the archives of functions and layer.
func (r *release) uploads(a artefacts) (uploads, error) {
	all := uploads{}
	for _, arch := range architectures {
		all[arch] = map[string]string{}
		from := map[string]string{layer: filepath.Join(r.work, "layer-"+arch)}
		for i, resource := range functionResources() {
			from[resource] = filepath.Join(r.source(), "bin/lambda", functions[i])
		}
		if err := errors.Join(os.MkdirAll(from[layer], 0o755), r.make("functions", arch, ""), r.make("build-OriginLayer", arch, from[layer])); err != nil {
			return nil, err
		}
		for _, resource := range slices.Sorted(maps.Keys(from)) {
			packed := filepath.Join(r.work, "packed.zip")
			if err := r.zipFolder(packed, from[resource]); err != nil {
				return nil, err
			}
			data, err := os.ReadFile(packed)
			if err != nil {
				return nil, err
			}
			if all[arch][resource], err = a.put(data, ".zip"); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// bundle packs the root template, the artefacts, the programs and what calls them.
func (r *release) bundle(a artefacts, root []byte) error {
	makefile, err := r.makefile()
	if err != nil {
		return err
	}
	made := map[string][]byte{"template.yaml": root, "Makefile": makefile}
	name := "culvert-aws_" + r.number() + "_linux_amd64"
	files := []file{r.document(name+"/LICENSE", "LICENSE"), r.document(name+"/DEPLOY.md", "docs/DEPLOY.md"),
		{name + "/cloudshell", filepath.Join(r.source(), "infra/cloudshell"), 0o755}}
	for _, to := range slices.Sorted(maps.Keys(made)) {
		from := filepath.Join(r.work, to)
		if err := os.WriteFile(from, made[to], 0o644); err != nil {
			return err
		}
		files = append(files, file{name + "/" + to, from, 0o644})
	}
	for program, more := range map[string][]string{"cloud": nil, client.command: clientFlags()} {
		flags := []string{"build", "-trimpath", "-buildvcs=true", "-ldflags", "-s -w", "-o", filepath.Join(r.work, "aws", program)}
		if err := r.goCommand(linux("amd64"), slices.Concat(flags, more, []string{"./cmd/" + program})...); err != nil {
			return err
		}
	}
	for folder, to := range map[string]string{filepath.Join(r.work, "aws"): "/bin/", a.folder: "/artifacts/"} {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return err
		}
		for _, e := range entries {
			mode := os.FileMode(0o644)
			if to == "/bin/" {
				mode = 0o755
			}
			files = append(files, file{name + to + e.Name(), filepath.Join(folder, e.Name()), mode})
		}
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.to, b.to) })
	return writeTar(filepath.Join(r.out, name+".tar.gz"), r.commit, files)
}

// cloudVariables is the part of the Makefile that hands on what a volunteer chose.
var cloudVariables = regexp.MustCompile(`(?ms)^given +=.*?^CLOUD +=.*?[^\\]\n`)

// makefile has the commands that begin with make where nothing is built.
func (r *release) makefile() ([]byte, error) {
	ours, err := os.ReadFile(filepath.Join(r.source(), "Makefile"))
	if err != nil {
		return nil, err
	}
	variables := cloudVariables.Find(ours)
	if variables == nil {
		return nil, errors.New("the Makefile does not say any more what it hands to bin/cloud")
	}
	return []byte("# What make does with a deployment; \"bin/cloud deploy --help\" has all that may be chosen.\n" + string(variables) +
		"\n.PHONY: " + cloudCommands + "\n" + cloudCommands + ":\n\t@$(CLOUD)\n"), nil
}

// cloudCommands are those of cmd/cloud for a deployment: all but publish, which builds.
const cloudCommands = "deploy update status report link rotate fronts revoke destroy"

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
	return writeZip(name, r.commit, files)
}
