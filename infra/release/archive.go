package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"time"
)

// file is one of an archive or a package.
type file struct {
	to   string // its path there, without a slash before it in an archive
	from string // its path here
	mode os.FileMode
}

// archives writes those of the client and, where they are made, of the servers.
func (r *release) archives(s system) error {
	err := r.archive(s, "culvert_"+r.number()+"_"+s.path(), []file{
		r.program(s, client.name), r.document("LICENSE", "LICENSE"), r.document("INSTALL.md", "docs/INSTALL.md"), r.document("CLIENT.md", "docs/CLIENT.md"),
	})
	if err != nil || !s.server {
		return err
	}
	files := []file{r.document("LICENSE", "LICENSE"), r.document("INSTALL.md", "docs/INSTALL.md"), r.document("OPERATING.md", "docs/OPERATING.md")}
	for _, p := range append([]program{client}, servers...) {
		files = append(files, r.program(s, p.name))
	}
	units, err := r.units("systemd/")
	if err != nil {
		return err
	}
	return r.archive(s, "culvert-server_"+r.number()+"_"+s.path(), append(files, units...))
}

func (r *release) program(s system, name string) file {
	return file{name + s.suffix(), filepath.Join(r.built(s), name+s.suffix()), 0o755}
}

func (r *release) document(to, from string) file {
	return file{to, filepath.Join(r.source(), from), 0o644}
}

// archive writes what a system's users expect: a zip for Windows, else a packed tar. What is in it is in a
// folder of the archive's name.
func (r *release) archive(s system, name string, files []file) error {
	for i := range files {
		files[i].to = name + "/" + files[i].to
	}
	if s.isWindows() {
		return writeZip(filepath.Join(r.out, name+".zip"), r.commit, files)
	}
	return writeTar(filepath.Join(r.out, name+".tar.gz"), r.commit, files)
}

// writeTar writes files of one time and no owner.
func writeTar(name string, at time.Time, files []file) error {
	return create(name, func(w io.Writer) error {
		packed, err := gzip.NewWriterLevel(w, gzip.BestCompression)
		if err != nil {
			return err
		}
		out := tar.NewWriter(packed)
		for _, f := range files {
			data, err := os.ReadFile(f.from)
			if err != nil {
				return err
			}
			h := &tar.Header{Name: f.to, Mode: int64(f.mode), Size: int64(len(data)), ModTime: at, Format: tar.FormatUSTAR}
			if err := out.WriteHeader(h); err != nil {
				return err
			}
			if _, err := out.Write(data); err != nil {
				return err
			}
		}
		if err := out.Close(); err != nil {
			return err
		}
		return packed.Close()
	})
}

// writeZip is writeTar for zip.
func writeZip(name string, at time.Time, files []file) error {
	return create(name, func(w io.Writer) error {
		out := zip.NewWriter(w)
		for _, f := range files {
			data, err := os.ReadFile(f.from)
			if err != nil {
				return err
			}
			h := &zip.FileHeader{Name: f.to, Method: zip.Deflate, Modified: at}
			h.SetMode(f.mode)
			entry, err := out.CreateHeader(h)
			if err != nil {
				return err
			}
			if _, err := entry.Write(data); err != nil {
				return err
			}
		}
		return out.Close()
	})
}

// create makes a file of what write writes.
func create(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
