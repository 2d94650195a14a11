package startup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"culvert/internal/secret"
)

// file is one that Install writes and Uninstall removes. A file of settings is not ours alone: who has a proxy wrote it
// there, and a package may have brought it. Of that we write, and take back, what we say in it.
type file struct {
	name, text string // without a text, and without edit, Install leaves the file as it is
	mode       fs.FileMode
	unit       bool                                   // packages bring one, too
	edit       func(was string, put bool) (is string) // in place of text: puts in what we say, or takes it out
}

// write has the machine's file be as f says. A file of settings that was there keeps its mode.
func (s *System) write(f file) error {
	text, mode := f.text, f.mode
	if f.edit != nil {
		was, info, err := s.read(f.name)
		if err != nil {
			return err
		}
		if info != nil {
			mode = info.Mode().Perm()
		}
		text = f.edit(was, true)
	}
	if text == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.path(f.name)), 0o755); err != nil {
		return err
	}
	return secret.Write(s.path(f.name), []byte(text), mode)
}

// takeBack undoes write.
func (s *System) takeBack(f file) error {
	if f.edit == nil {
		return s.remove(os.Remove, f.name)
	}
	was, info, err := s.read(f.name)
	if err != nil || info == nil {
		return err
	}
	rest := f.edit(was, false)
	if strings.TrimSpace(rest) == "" {
		return s.remove(os.Remove, f.name)
	}
	return secret.Write(s.path(f.name), []byte(rest), info.Mode().Perm())
}

// read is a file and what is known of it, which is nil if there is none.
func (s *System) read(name string) (string, fs.FileInfo, error) {
	info, err := os.Stat(s.path(name))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	b, err := os.ReadFile(s.path(name))
	return string(b), info, err
}

// Place is where a proxy can be written whose password no other program may read: a line of a file of root's.
type Place struct{ Line, File string }

// Proxy is where the service finds a proxy that no command line has; nowhere on some systems.
func (s *System) Proxy() Place { return s.proxy }

// HasProxy says whether a proxy is written there.
func (s *System) HasProxy() bool {
	if s.proxy.File == "" {
		return false
	}
	was, _, err := s.read(s.proxy.File)
	name, _, _ := strings.Cut(s.proxy.Line, "URL")
	for line := range strings.Lines(was) {
		if err == nil && strings.HasPrefix(strings.TrimSpace(line), name) {
			return true
		}
	}
	return false
}
