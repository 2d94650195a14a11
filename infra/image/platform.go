package main

import (
	"bytes"
	"encoding/json"
)

// user runs the program: no user of any machine, and not root.
const user = "65532:65532"

// platform is a program's image for one architecture.
type platform struct {
	arch                    string
	layer, config, manifest blob
}

// newPlatform makes a program's image. Names and fields are those of the OCI
// Image Format Specification, version 1.1.
func newPlatform(program, arch string, binary []byte) (platform, error) {
	var files bytes.Buffer
	if err := archive(&files, content(program, binary)); err != nil {
		return platform{}, err
	}
	packed, err := compressed(files.Bytes())
	if err != nil {
		return platform{}, err
	}
	layer := newBlob("application/vnd.oci.image.layer.v1.tar+gzip", packed)
	config, err := newJSON("application/vnd.oci.image.config.v1+json", map[string]any{
		"os": "linux", "architecture": arch,
		"config": runAs(program),
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(files.Bytes())}},
	})
	if err != nil {
		return platform{}, err
	}
	manifest, err := newJSON("application/vnd.oci.image.manifest.v1+json", map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": config.descriptor(), "layers": []any{layer.descriptor()},
	})
	return platform{arch, layer, config, manifest}, err
}

// runAs says how a container begins. Its ports are its own until somebody
// publishes them, so that it may listen on all addresses.
func runAs(program string) map[string]any {
	return map[string]any{
		"User": user, "Entrypoint": []string{"/" + program},
		"Env":          []string{"CULVERT_LISTEN=:8080", "CULVERT_ADMIN_LISTEN=:9090"},
		"ExposedPorts": map[string]any{"8080/tcp": struct{}{}, "9090/tcp": struct{}{}},
		"Labels":       map[string]string{"org.opencontainers.image.title": "culvert-" + program, "org.opencontainers.image.licenses": "MIT"},
	}
}

// blob is a piece of an image, named by its digest.
type blob struct {
	mediaType string
	data      []byte
}

func newBlob(mediaType string, data []byte) blob { return blob{mediaType, data} }

func newJSON(mediaType string, v any) (blob, error) {
	data, err := json.Marshal(v) // maps in order of their keys
	return blob{mediaType, data}, err
}

// descriptor is how others name the blob.
func (b blob) descriptor() map[string]any {
	return map[string]any{"mediaType": b.mediaType, "digest": digest(b.data), "size": len(b.data)}
}
