package site

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Setting is what an operator says of the website: an embedded one, a folder, or another website. The zero
// value says nothing.
type Setting struct {
	choice *Choice
	folder string
	other  *url.URL
}

// UnmarshalText reads the text of a Choice, a folder's absolute path, or the URL of another website.
func (s *Setting) UnmarshalText(b []byte) error {
	text := string(b)
	switch {
	case filepath.IsAbs(text):
		*s = Setting{folder: text}
	case strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://"):
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return errors.New("is not the URL of a website: a host, perhaps a port and a path")
		}
		*s = Setting{other: u}
	default:
		c, err := ParseChoice(text)
		if err != nil {
			return fmt.Errorf("is no absolute path and no URL, and %w", err)
		}
		*s = Setting{choice: &c}
	}
	return nil
}

// IsSet reports whether anything was said.
func (s Setting) IsSet() bool { return s != Setting{} }

// Open is the website; without a word, that of otherwise.
func (s Setting) Open(otherwise Choice) (http.Handler, error) {
	switch {
	case s.folder != "":
		return Folder(s.folder)
	case s.other != nil:
		return through(s.other), nil
	case s.choice != nil:
		return s.choice.Site(), nil
	}
	return otherwise.Site(), nil
}

// These bound what a folder holds, as all of it is kept in memory.
const (
	maxFolder = 32 << 20
	maxFiles  = 2000
)

// Folder reads a folder of files: index.html is the page of each folder, and 404.html the one for what there
// is not. What begins with a dot is left out.
func Folder(root string) (*Site, error) {
	s, size := &Site{files: map[string]file{}}, 0
	err := filepath.WalkDir(root, func(at string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case at != root && strings.HasPrefix(d.Name(), "."):
			return skip(d)
		case d.IsDir():
			return nil
		}
		f, err := readFile(at)
		if err != nil {
			return err
		}
		if size += len(f.body); size > maxFolder || len(s.files) >= maxFiles {
			return fmt.Errorf("holds more than %d MiB or %d files", maxFolder>>20, maxFiles)
		}
		s.files[filepath.ToSlash(strings.TrimPrefix(at, filepath.Clean(root)))] = f
		return nil
	})
	if err == nil && s.files["/index.html"].kind == "" {
		err = errors.New("has no index.html")
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func skip(d os.DirEntry) error {
	if d.IsDir() {
		return filepath.SkipDir
	}
	return nil
}

func readFile(at string) (file, error) {
	info, err := os.Stat(at)
	if err != nil {
		return file{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFolder {
		return file{}, fmt.Errorf("%s is no file of up to %d MiB", filepath.Base(at), maxFolder>>20)
	}
	body, err := os.ReadFile(at)
	return newFile(at, body, info.ModTime()), err
}
