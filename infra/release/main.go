// Command release makes what is published of a version: archives and packages of the client and of the
// servers, container images, what a deployment on AWS uploads, a bill of materials, checksums and, with a key,
// their signature. Whatever is in them is committed: all is made in a clone of the commit that has the tag. The
// same commit, version and Go make the same files, on any machine at any time.
//
//	go run ./infra/release [-version v1.2.0] [-only linux/mips,images] [-key FILE] FOLDER
//
// Without -version it is the tag of the commit. It needs Go, git and make, and ssh-keygen for a signature.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// order is what somebody wants to be made.
type order struct {
	version string // "v1.2.0"; empty: the tag of the commit
	only    []string
	key     string // file of the private key, or of the public one of a key that an agent holds; empty: nothing is signed
	folder  string
}

func main() {
	o, err := read(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(2)
	}
	if err := o.fill(); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// read finds what can be found wrong before anything is made.
func read(args []string) (order, error) {
	var o order
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.StringVar(&o.version, "version", "", "`version` to make of the commit, as v1.2.0")
	only := flags.String("only", "", "`parts` to make, with commas between: systems, images, cloud")
	flags.StringVar(&o.key, "key", "", "`file` of the SSH key to sign with")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() != 1 {
		return o, errors.New("say where to write to: go run ./infra/release bin/release")
	}
	o.folder = flags.Arg(0)
	var err error
	if o.only, err = partsOf(*only); err != nil {
		return o, err
	}
	if o.version == "" {
		o.version, err = tagged()
	}
	if err == nil && !isVersion(o.version) {
		err = fmt.Errorf("%q is no version: say one like v1.2.0 or v1.2.0-rc.1", o.version)
	}
	if err == nil && o.key != "" {
		_, err = os.Stat(o.key)
	}
	if left, bad := os.ReadDir(o.folder); err == nil && bad == nil && len(left) > 0 {
		err = fmt.Errorf("%s holds files: name a folder that is not there yet", o.folder)
	}
	return o, err
}

// The parts beside the systems.
const (
	images = "images"
	cloud  = "cloud"
)

// partsOf reads a list of parts; an empty one is all.
func partsOf(list string) ([]string, error) {
	known := []string{images, cloud}
	for _, s := range systems {
		known = append(known, s.name)
	}
	if list == "" {
		return known, nil
	}
	parts := strings.Split(list, ",")
	for _, p := range parts {
		if !slices.Contains(known, p) {
			return nil, fmt.Errorf("there is no part %q: there are %s", p, strings.Join(known, ", "))
		}
	}
	return parts, nil
}

// fill makes the folder whole, or not at all.
func (o order) fill() error {
	work, err := os.MkdirTemp("", "culvert-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	folder, err := filepath.Abs(o.folder)
	if err != nil {
		return err
	}
	r := release{version: o.version, work: work, out: folder + ".unfinished", wants: o.only}
	defer os.RemoveAll(r.out)
	if err := errors.Join(os.RemoveAll(r.out), os.MkdirAll(r.out, 0o755)); err != nil {
		return err
	}
	for _, step := range []func() error{r.clone, r.tools, r.systems, r.images, r.cloud, r.bill, r.copies} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := sum(r.out); err != nil {
		return err
	}
	if o.key != "" {
		if err := sign(filepath.Join(r.out, sums), o.key); err != nil {
			return err
		}
	}
	os.Remove(o.folder) // an empty one may be there
	return os.Rename(r.out, o.folder)
}
