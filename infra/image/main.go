// Command image builds the container images of origin and edge: from scratch,
// for amd64, arm64 and arm, without root, with the programs and the authorities'
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
	"os/exec"
	"path/filepath"
)

var (
	programs      = []string{"origin", "edge"}
	architectures = []string{"amd64", "arm64", "arm"}
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
			return fmt.Errorf("%s: %w", name, err)
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

// build compiles one of our programs, as make build does.
func build(program, arch string) ([]byte, error) {
	folder, err := os.MkdirTemp("", "culvert-image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	out := filepath.Join(folder, program)
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=auto", "-ldflags", "-s -w", "-o", out, "culvert/cmd/"+program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0", "GOARM="+armVersion)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}
