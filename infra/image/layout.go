package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// path is where a layout keeps a blob.
func (b blob) path() string { return "blobs/" + strings.Replace(digest(b.data), ":", "/", 1) }

// write puts a program's image for all platforms into a tar file, and returns
// the digest that names it. The file is an OCI layout and has the manifest.json
// that older versions of Docker load, a tag for each architecture.
func write(name, image string, platforms []platform) (string, error) {
	index, err := newIndex(platforms)
	if err != nil {
		return "", err
	}
	files, err := layout(image, index, platforms)
	if err != nil {
		return "", err
	}
	out, err := os.Create(name)
	if err != nil {
		return "", err
	}
	if err := archive(out, files); err != nil {
		out.Close()
		return "", err
	}
	return digest(index.data), out.Close()
}

func newIndex(platforms []platform) (blob, error) {
	var manifests []any
	for _, p := range platforms {
		d := p.manifest.descriptor()
		d["platform"] = map[string]string{"os": "linux", "architecture": p.arch}
		manifests = append(manifests, d)
	}
	const kind = "application/vnd.oci.image.index.v1+json"
	return newJSON(kind, map[string]any{"schemaVersion": 2, "mediaType": kind, "manifests": manifests})
}

func layout(image string, index blob, platforms []platform) ([]file, error) {
	named := index.descriptor()
	named["annotations"] = map[string]string{
		"io.containerd.image.name": "docker.io/library/" + image + ":latest", "org.opencontainers.image.ref.name": "latest",
	}
	blobs := map[string][]byte{index.path(): index.data}
	var docker []any
	for _, p := range platforms {
		for _, b := range []blob{p.layer, p.config, p.manifest} {
			blobs[b.path()] = b.data
		}
		docker = append(docker, map[string]any{
			"Config": p.config.path(), "RepoTags": []string{image + ":" + p.arch}, "Layers": []string{p.layer.path()},
		})
	}
	contents, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []any{named}})
	if err != nil {
		return nil, err
	}
	older, err := json.Marshal(docker)
	if err != nil {
		return nil, err
	}
	files := []file{
		{"oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", 0o644, contents},
		{"manifest.json", 0o644, older},
		{"blobs/", 0o755, nil},
		{"blobs/sha256/", 0o755, nil},
	}
	for _, path := range slices.Sorted(maps.Keys(blobs)) {
		files = append(files, file{path, 0o644, blobs[path]})
	}
	return files, nil
}
