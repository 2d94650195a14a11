package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// read returns the files of a tar by name.
func read(t *testing.T, in io.Reader) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 0 {
			t.Errorf("%s: got owner %d:%d and time %v, want none", h.Name, h.Uid, h.Gid, h.ModTime)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

func parse[T any](t *testing.T, data []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return v
}

// digest is reckoned here once more, not asked of the library that wrote it.
func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

type descriptor struct {
	Digest   string
	Size     int
	Platform struct{ Architecture, Variant string }
}

type manifest struct {
	Manifests []descriptor
	Config    descriptor
	Layers    []descriptor
}

// written is an image of programs that say for which architecture they are.
func written(t *testing.T) (image map[string][]byte, digest string, raw []byte) {
	t.Helper()
	var platforms []platform
	for _, arch := range architectures {
		p, err := newPlatform("origin", arch, []byte("for "+arch))
		if err != nil {
			t.Fatal(err)
		}
		platforms = append(platforms, p)
	}
	name := filepath.Join(t.TempDir(), "image.tar")
	digest, err := write(name, "culvert-origin", platforms)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = os.ReadFile(name); err != nil {
		t.Fatal(err)
	}
	return read(t, bytes.NewReader(raw)), digest, raw
}

func TestEveryDigestLeadsToWhatItNames(t *testing.T) {
	t.Parallel()
	image, named, _ := written(t)
	get := func(d descriptor) []byte {
		data := image["blobs/"+strings.Replace(d.Digest, ":", "/", 1)]
		if len(data) != d.Size || digest(data) != d.Digest {
			t.Errorf("got %d bytes with digest %s, want %d with %s", len(data), digest(data), d.Size, d.Digest)
		}
		return data
	}
	top := parse[manifest](t, image["index.json"]).Manifests[0]
	if top.Digest != named {
		t.Errorf("got %s, want %s", top.Digest, named)
	}
	for i, d := range parse[manifest](t, get(top)).Manifests {
		m := parse[manifest](t, get(d))
		config := parse[struct {
			Architecture string
			Variant      string
			Config       struct {
				User        string
				Healthcheck struct{ Test []string }
			}
			Rootfs struct {
				Diff []string `json:"diff_ids"`
			}
		}](t, get(m.Config))
		if want := architectures[i]; d.Platform.Architecture != want || config.Architecture != want {
			t.Errorf("got architectures %s and %s, want %s", d.Platform.Architecture, config.Architecture, want)
		}
		if want := map[bool]string{true: "v7"}[d.Platform.Architecture == "arm"]; d.Platform.Variant != want || config.Variant != want {
			t.Errorf("got variants %q and %q, want %q", d.Platform.Variant, config.Variant, want)
		}
		if got := strings.Join(config.Config.Healthcheck.Test, " "); got != "CMD /origin health" {
			t.Errorf("got health check %q, want that of the origin", got)
		}
		if config.Config.User != user {
			t.Errorf("got user %q, want %q", config.Config.User, user)
		}
		unpacked := unpack(t, get(m.Layers[0]))
		if digest(unpacked) != config.Rootfs.Diff[0] {
			t.Errorf("got a layer with digest %s, want %s", digest(unpacked), config.Rootfs.Diff[0])
		}
		if got, want := string(read(t, bytes.NewReader(unpacked))["origin"]), "for "+architectures[i]; got != want {
			t.Errorf("got program %q, want %q", got, want)
		}
	}
}

func unpack(t *testing.T, packed []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTheSameProgramsAreTheSameImage(t *testing.T) {
	t.Parallel()
	_, one, first := written(t)
	_, other, second := written(t)
	if one != other || !bytes.Equal(first, second) {
		t.Errorf("got %s and %s, want the same bytes", one, other)
	}
}

func TestTheImageTrustsTheAuthoritiesThatBrowsersDo(t *testing.T) {
	t.Parallel()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authorities()) {
		t.Fatal("got no certificate")
	}
	if n := strings.Count(string(authorities()), "BEGIN CERTIFICATE"); n < 100 {
		t.Errorf("got %d authorities, want over 100", n)
	}
}
