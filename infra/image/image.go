package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/pem"
	"io"
	"io/fs"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// user runs the program: no user of any machine, and not root.
const user = "65532:65532"

// armVersion is the least of ARM's 32-bit processors that the images run on: what Debian and Alpine call armhf and armv7.
const armVersion = "7"

// variant is what registries call that version.
func variant(arch string) string {
	if arch == "arm" {
		return "v" + armVersion
	}
	return ""
}

// platform is a program's image for one architecture.
type platform struct {
	arch  string
	image v1.Image
}

// newPlatform makes a program's image, of one layer.
func newPlatform(program, arch string, binary []byte) (platform, error) {
	var files bytes.Buffer
	if err := archive(&files, content(program, binary)); err != nil {
		return platform{}, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(files.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithCompressedCaching)
	if err != nil {
		return platform{}, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	base, err = mutate.ConfigFile(base, &v1.ConfigFile{OS: "linux", Architecture: arch, Variant: variant(arch), Config: runAs(program), RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		return platform{}, err
	}
	image, err := mutate.AppendLayers(base, layer)
	return platform{arch, image}, err
}

// drain is how long connections may go on after "docker stop", which kills after 10 s unless it is told otherwise.
const drain = "8s"

// runAs says how a container begins. Its ports are its own until somebody
// publishes them, so that it may listen on all addresses.
func runAs(program string) v1.Config {
	return v1.Config{
		User: user, Entrypoint: []string{"/" + program},
		Env:          []string{"CULVERT_LISTEN=:8080", "CULVERT_ADMIN_LISTEN=:9090", "CULVERT_DRAIN=" + drain},
		Healthcheck:  &v1.HealthConfig{Test: []string{"CMD", "/" + program, "health"}, Interval: 30 * time.Second, Timeout: 5 * time.Second, StartPeriod: 5 * time.Second},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}, "9090/tcp": {}},
		Labels:       map[string]string{"org.opencontainers.image.title": "culvert-" + program, "org.opencontainers.image.licenses": "MIT"},
	}
}

// content is what an image holds. Go looks for the certificates at that path.
func content(program string, binary []byte) []file {
	return []file{
		{"etc/", 0o755, nil},
		{"etc/ssl/", 0o755, nil},
		{"etc/ssl/certs/", 0o755, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, authorities()},
		{program, 0o755, binary},
	}
}

// authorities are Mozilla's, of the version in go.mod, in PEM form. Those that
// Mozilla trusts for some certificates only cannot be said in that form.
func authorities() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return out.Bytes()
}

// write puts a program's image for all platforms into a tar file, and returns
// the digest that names it. The file is an OCI layout and has the manifest.json
// that older versions of Docker load, a tag for each architecture. The
// library's own tar files name no index, and hold several images in an order
// that changes from run to run.
func write(name, image string, platforms []platform) (string, error) {
	var all v1.ImageIndex = empty.Index
	var older tarball.Manifest
	for _, p := range platforms {
		all = mutate.AppendManifests(all, mutate.IndexAddendum{Add: p.image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: p.arch, Variant: variant(p.arch)}}})
		manifest, err := p.image.Manifest()
		if err != nil {
			return "", err
		}
		older = append(older, tarball.Descriptor{Config: path(manifest.Config.Digest), RepoTags: []string{image + ":" + p.arch},
			Layers: []string{path(manifest.Layers[0].Digest)}})
	}
	digest, err := all.Digest()
	if err != nil {
		return "", err
	}
	named := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: all, Descriptor: v1.Descriptor{Annotations: map[string]string{
		"io.containerd.image.name": "docker.io/library/" + image + ":latest", "org.opencontainers.image.ref.name": "latest",
	}}})
	files, err := layoutFiles(named, older)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := archive(&out, files); err != nil {
		return "", err
	}
	return digest.String(), os.WriteFile(name, out.Bytes(), 0o644)
}

// path is where a layout keeps a blob.
func path(digest v1.Hash) string { return "blobs/" + digest.Algorithm + "/" + digest.Hex }

// layoutFiles are those of an OCI layout of the index, in the order of their
// names, and manifest.json.
func layoutFiles(index v1.ImageIndex, older tarball.Manifest) ([]file, error) {
	folder, err := os.MkdirTemp("", "culvert-image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	if _, err := layout.Write(folder, index); err != nil {
		return nil, err
	}
	docker, err := json.Marshal(older)
	if err != nil {
		return nil, err
	}
	files := []file{{"manifest.json", 0o644, docker}}
	err = fs.WalkDir(os.DirFS(folder), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if entry.IsDir() {
			files = append(files, file{name + "/", 0o755, nil})
			return nil
		}
		data, err := fs.ReadFile(os.DirFS(folder), name)
		files = append(files, file{name, 0o644, data})
		return err
	})
	return files, err
}

// file is one in an image or an archive; its owner is root.
type file struct {
	name string // without a slash before it; folders end in one
	mode int64
	data []byte
}

// archive writes files as tar, all of one time.
func archive(w io.Writer, files []file) error {
	out := tar.NewWriter(w)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := out.Write(f.data); err != nil {
			return err
		}
	}
	return out.Close()
}
