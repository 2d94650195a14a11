package setup

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"culvert/internal/secret"
	"culvert/internal/term"
)

const backupAbout = `
Writes the secret, the settings, the certificate that nobody has signed and the numbers
of users into one file, which is as secret as the secret: whoever has it can be this
origin. Without a copy, a machine that is lost voids all links.

Example:
  culvert-origin backup culvert-backup.tar`

const restoreAbout = `
Brings back what culvert-origin backup has written, onto a machine without an origin. What
it begins, culvert-origin setup finishes; links that name the old machine's address need
another one.

Example:
  culvert-origin restore culvert-backup.tar && culvert-origin setup`

// kept are what a backup holds, and who may read it.
var kept = map[string]fs.FileMode{
	secretFile: 0o600, settings: 0o644, certFile: 0o644, keyFile: 0o600, revokedFile: 0o644, frontFile: 0o644, usersFile: 0o644,
}

// one returns the file that a command names.
func one(f *term.Flags, args []string, stdout io.Writer) (string, error) {
	rest, err := f.ParseAll(args, stdout)
	if err == nil && len(rest) != 1 {
		err = f.Wrong("name one file, for example culvert-backup.tar")
	}
	if err != nil {
		return "", err
	}
	return rest[0], nil
}

func runBackup(ctx context.Context, args []string, stdout, _ io.Writer) error {
	name, err := one(term.NewFlags("culvert-origin backup", "FILE", backupAbout), args, stdout)
	if err != nil {
		return err
	}
	h, err := readied(ctx)
	if err != nil {
		return err
	}
	text, err := h.backup()
	if err != nil {
		return err
	}
	if err := secret.Write(name, text, 0o600); err != nil {
		return err
	}
	term.NewConsole(stdout).Step(term.Good, 0, "%s has all that must not be lost: keep it elsewhere, where nobody else reads it", name)
	return nil
}

func (h *host) backup() ([]byte, error) {
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	names := make([]string, 0, len(kept))
	for name := range kept {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		text, err := os.ReadFile(h.path(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = out.WriteHeader(&tar.Header{Name: name[1:], Mode: int64(kept[name]), Size: int64(len(text)), ModTime: h.now()})
		}
		if err == nil {
			_, err = out.Write(text)
		}
		if err != nil {
			return nil, err
		}
	}
	err := out.Close()
	return b.Bytes(), err
}

func runRestore(ctx context.Context, args []string, stdout, _ io.Writer) error {
	name, err := one(term.NewFlags("culvert-origin restore", "FILE", restoreAbout), args, stdout)
	if err != nil {
		return err
	}
	h, err := thisHost()
	if err == nil {
		err = h.check(ctx)
	}
	if err != nil {
		return err
	}
	text, err := secret.Read(name, nil)
	if err != nil {
		return err
	}
	if err := h.restore([]byte(text)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	out := term.NewConsole(stdout)
	out.Step(term.Good, 0, "Secret and settings are back; now")
	out.Hint("  culvert-origin setup")
	return nil
}

// errOtherSecret keeps links alive that a secret of another origin would void.
var errOtherSecret = errors.New("this machine has another secret, and its links would be void: remove that origin first with culvert-origin remove --everything")

// last is the number of the last link, or 0.
func last(text string) uint64 {
	n, _ := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
	return n
}

// restore writes the files of a backup, after a look at all of them. A number that was handed out since is not handed out again.
func (h *host) restore(text []byte) error {
	files := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(text)); ; {
		head, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return errors.New("is no backup, or was cut off")
		}
		name := path.Clean("/" + head.Name)
		if _, ok := kept[name]; !ok || head.Typeflag != tar.TypeReg {
			return fmt.Errorf("holds %s, which no backup does", name)
		}
		all, err := io.ReadAll(r)
		if err != nil {
			return errors.New("is cut off")
		}
		files[name] = string(all)
	}
	if files[secretFile] == "" {
		return errors.New("holds no secret: it is no backup")
	}
	if now := h.read(secretFile); now != "" && now != files[secretFile] {
		return errOtherSecret
	}
	if last(h.read(usersFile)) > last(files[usersFile]) {
		delete(files, usersFile)
	}
	for name, text := range files {
		if err := h.write(name, text, kept[name]); err != nil {
			return err
		}
	}
	return nil
}
