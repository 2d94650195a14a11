package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// nfpm makes the packages; newer ones want a module that not everybody is served.
const nfpm = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2"

// tools installs nfpm where a package is wanted.
func (r *release) tools() error {
	packed := func(s system) bool { return slices.Contains(r.wants, s.name) && len(s.kinds()) > 0 }
	if !slices.ContainsFunc(systems, packed) {
		return nil
	}
	r.nfpm = filepath.Join(r.work, "nfpm")
	cmd := exec.Command("go", "install", "-trimpath", nfpm)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOBIN="+r.work)
	_, err := run(cmd, r.work)
	return err
}

// kind is one package's: how nfpm calls it, and for which architecture it is.
type kind struct{ packager, arch string }

// kinds are those that a system has packages of.
func (s system) kinds() []kind {
	all := []kind{{"deb", s.deb}, {"rpm", s.rpm}, {"apk", s.apk}}
	all = slices.DeleteFunc(all, func(k kind) bool { return k.arch == "" })
	for _, arch := range s.ipk {
		all = append(all, kind{"ipk", arch})
	}
	return all
}

// packages writes all of a system. A router is no server: OpenWrt has the client alone.
func (r *release) packages(s system) error {
	for _, k := range s.kinds() {
		makers := []func(system, kind) (*nfpmConfig, error){r.clientPackage}
		if s.server && k.packager != "ipk" {
			makers = append(makers, r.serverPackage)
		}
		for _, of := range makers {
			p, err := of(s, k)
			if err != nil {
				return err
			}
			if err := r.pack(p, k); err != nil {
				return err
			}
		}
	}
	return nil
}

// pack writes one package, by the name that its kind has.
func (r *release) pack(p *nfpmConfig, k kind) error {
	config, err := json.Marshal(p) // which is YAML as well
	if err != nil {
		return err
	}
	name := filepath.Join(r.work, "nfpm.yaml")
	if err := os.WriteFile(name, config, 0o644); err != nil {
		return err
	}
	cmd := exec.Command(r.nfpm, "package", "--config", name, "--packager", k.packager, "--target", r.out+string(filepath.Separator))
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+r.epoch())
	_, err = run(cmd, r.work)
	return err
}

// nfpmConfig is as much of nfpm's as we say.
type nfpmConfig struct {
	Name        string            `json:"name"`
	Arch        string            `json:"arch"`
	Platform    string            `json:"platform"`
	Version     string            `json:"version"`
	Section     string            `json:"section"`
	Priority    string            `json:"priority"`
	Maintainer  string            `json:"maintainer"`
	Description string            `json:"description"`
	License     string            `json:"license"`
	MTime       time.Time         `json:"mtime"`
	Recommends  []string          `json:"recommends,omitempty"`
	Contents    []nfpmFile        `json:"contents"`
	Scripts     map[string]string `json:"scripts,omitempty"`

	Deb nfpmArch `json:"deb"`
	RPM nfpmRPM  `json:"rpm"`
	APK nfpmAPK  `json:"apk"`
	IPK nfpmArch `json:"ipk"`
}

// nfpmArch is the architecture in a kind's own words, which nfpm takes as they are.
type nfpmArch struct {
	Arch string `json:"arch"`
}

// nfpmAPK has the scripts that no other kind knows: there an upgrade runs those of installation and removal.
type nfpmAPK struct {
	Arch    string            `json:"arch"`
	Scripts map[string]string `json:"scripts,omitempty"`
}

type nfpmRPM struct {
	Arch      string `json:"arch"`
	BuildHost string `json:"buildhost"` // not this machine's name
}

type nfpmFile struct {
	Source string   `json:"src,omitempty"`
	Path   string   `json:"dst"`
	Type   string   `json:"type,omitempty"` // "dir", or "config|noreplace" for what a user changes
	Info   nfpmInfo `json:"file_info"`
}

type nfpmInfo struct {
	Mode  os.FileMode `json:"mode"`
	Owner string      `json:"owner"`
	Group string      `json:"group"`
	MTime time.Time   `json:"mtime"`
}

func (r *release) newPackage(name, about string, k kind) *nfpmConfig {
	arch := nfpmArch{k.arch}
	return &nfpmConfig{
		Name: name, Arch: k.arch, Platform: "linux", Version: r.version, Section: "net", Priority: "optional",
		Maintainer: "The Culvert authors <culvert@localhost.invalid>", Description: about, License: "MIT", MTime: r.commit,
		Deb: arch, RPM: nfpmRPM{k.arch, "localhost"}, APK: nfpmAPK{Arch: k.arch}, IPK: arch,
	}
}

// add puts a file into the package.
func (r *release) add(p *nfpmConfig, path, from string, mode os.FileMode, kind string) {
	p.Contents = append(p.Contents, nfpmFile{from, path, kind, nfpmInfo{mode, "root", "root", r.commit}})
}
