// Command image builds the container images of origin and edge: from scratch,
// for amd64 and arm64, without root, with the programs and the authorities'
// certificates in them and nothing else. It needs Go alone. What it writes
// depends on the commit and on Go's version, not on the machine or the time.
//
//	go run ./infra/image FOLDER
//
// FOLDER/origin.tar and FOLDER/edge.tar are OCI layouts that "docker load" and
// "podman load" take as culvert-origin and culvert-edge.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

var (
	programs      = []string{"origin", "edge"}
	architectures = []string{"amd64", "arm64"}
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "image: say where to write the images: go run ./infra/image bin/image")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, program := range programs {
		platforms, err := buildAll(program)
		if err != nil {
			return fmt.Errorf("%s: %w", program, err)
		}
		name := filepath.Join(folder, program+".tar")
		digest, err := write(name, "culvert-"+program, platforms)
		if err != nil {
			return err
		}
		fmt.Printf("%s  %s\n", name, digest)
	}
	return nil
}

func buildAll(program string) ([]platform, error) {
	var all []platform
	for _, arch := range architectures {
		binary, err := build(program, arch)
		if err != nil {
			return nil, fmt.Errorf("for %s: %w", arch, err)
		}
		p, err := newPlatform(program, arch, binary)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}
