// Command sbom lists what programs are made of, as a bill of materials in CycloneDX 1.6
// (https://cyclonedx.org): the module, Go itself, and every dependency with its version and
// the hash that go.sum pins. It reads what the linker has written into the programs, so it
// says what is in these files and not what a go.mod would have.
//
//	go run ./infra/sbom bin/culvert bin/origin bin/edge > sbom.json
package main

import (
	"cmp"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "sbom: name the programs: go run ./infra/sbom bin/culvert bin/origin bin/edge")
		os.Exit(2)
	}
	if err := write(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

type bill struct {
	Format       string       `json:"bomFormat"`
	Spec         string       `json:"specVersion"`
	Version      int          `json:"version"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	PURL       string     `json:"purl,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// dependency says what a program is made of.
type dependency struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn"`
}

// write lists the programs of those names, the same for the same programs.
func write(w io.Writer, names []string) error {
	b := bill{Format: "CycloneDX", Spec: "1.6", Version: 1}
	for _, name := range names {
		info, err := buildinfo.ReadFile(name)
		if err != nil {
			return err
		}
		b.add(filepath.Base(name), info)
	}
	slices.SortFunc(b.Components, func(x, y component) int { return cmp.Compare(x.Ref, y.Ref) })
	b.Components = slices.CompactFunc(b.Components, func(x, y component) bool { return x.Ref == y.Ref })
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(b)
}

func (b *bill) add(name string, info *debug.BuildInfo) {
	program := component{Type: "application", Ref: "program:" + name, Name: name, Version: info.Main.Version}
	for _, s := range info.Settings {
		if strings.HasPrefix(s.Key, "vcs.") || s.Key == "GOOS" || s.Key == "GOARCH" {
			program.Properties = append(program.Properties, property{s.Key, s.Value})
		}
	}
	std := component{Type: "library", Name: "stdlib", Version: info.GoVersion}
	std.Ref = "pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go")
	std.PURL = std.Ref
	parts := []component{std}
	for _, m := range info.Deps {
		parts = append(parts, module(m))
	}
	made := dependency{Ref: program.Ref}
	for _, p := range parts {
		made.On = append(made.On, p.Ref)
	}
	b.Components = append(append(b.Components, program), parts...)
	b.Dependencies = append(b.Dependencies, made)
}

func module(m *debug.Module) component {
	if m.Replace != nil {
		m = m.Replace
	}
	c := component{Type: "library", Ref: "pkg:golang/" + m.Path + "@" + m.Version, Name: m.Path, Version: m.Version}
	c.PURL = c.Ref
	if m.Sum != "" {
		c.Properties = []property{{"go.sum", m.Sum}}
	}
	return c
}
