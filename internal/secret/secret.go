// Package secret keeps secrets where they belong: in files that their owner alone reads,
// and in the memory of a process of which nobody gets a copy. Secrets come by files, by
// credentials of systemd's, which are files, or by the standard input; never by the
// command line or the environment, which other programs read.
package secret

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode/utf16"
)

// MaxFile bounds what is read: no secret and no link is nearly as long.
const MaxFile = 1 << 20

// ErrOpen means that others can read a secret. Its text says what to do.
var ErrOpen = errors.New("others can read this secret")

// Read returns the text of the named file, or of stdin for "-". It refuses a file that
// others can read, with ErrOpen.
func Read(name string, stdin io.Reader) (string, error) {
	if name == "-" {
		return readText(stdin)
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = check(name, info)
	}
	if err != nil {
		return "", err
	}
	text, err := readText(f)
	if errors.Is(err, errTooLarge) {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return text, err
}

// check refuses what OpenSSH refuses of a key: a file that everybody can read, or the
// owner's group can. Another owner has a reason for the group.
func check(name string, info fs.FileInfo) error {
	open := info.Mode().Perm() & 0o007
	if isOwn(info) {
		open = info.Mode().Perm() & 0o077
	}
	// Permissions say nothing where they are not Unix's, nor those of a pipe that a shell
	// hands over.
	if open == 0 || runtime.GOOS == "windows" || !info.Mode().IsRegular() || isHandedOver(name) {
		return nil
	}
	return fmt.Errorf("%w: make it its owner's alone with: chmod 600 %s (where that changes nothing, send it to the standard input, and name - as the file)", ErrOpen, name)
}

// isHandedOver reports whether systemd or a container's engine shows the file to this
// service alone, whatever its permissions are there.
func isHandedOver(name string) bool {
	path, err := filepath.Abs(name)
	if err != nil {
		return false
	}
	for _, folder := range []string{os.Getenv("CREDENTIALS_DIRECTORY"), "/run/secrets"} {
		if folder != "" && strings.HasPrefix(path, folder+"/") {
			return true
		}
	}
	return false
}

var errTooLarge = errors.New("too large: not the file that was meant")

func readText(r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	switch {
	case err != nil:
		return "", err
	case len(b) > MaxFile:
		return "", errTooLarge
	}
	return Text(b), nil
}

// Text is what b says, which may begin with a byte order mark and then be UTF-8 or UTF-16,
// as PowerShell writes files.
func Text(b []byte) string {
	switch s := string(b); {
	case strings.HasPrefix(s, "\xEF\xBB\xBF"):
		return s[3:]
	case strings.HasPrefix(s, "\xFF\xFE"):
		return wideText(b[2:], binary.LittleEndian)
	case strings.HasPrefix(s, "\xFE\xFF"):
		return wideText(b[2:], binary.BigEndian)
	default:
		return s
	}
}

func wideText(b []byte, order binary.ByteOrder) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// Keep makes a file that is about to take a secret its owner's alone: the shell has made it
// for everybody's eyes if the program's output goes there. Other outputs stay as they are.
func Keep(out io.Writer) error {
	f, ok := out.(*os.File)
	if !ok {
		return nil
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	if err := f.Chmod(0o600); err != nil {
		return fmt.Errorf("others can read the file that this secret would go to, and it cannot be changed: write to one of your own: %w", err)
	}
	return nil
}

// Write makes the named file hold b, with that mode. The file is whole at any moment: the old
// one, or the new, which is its owner's alone until it is whole.
func Write(name string, b []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.new") // for its owner alone
	if err != nil {
		return named(err, name)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return named(err, name)
}

// named has an error name the file that was meant, in place of the one that becomes it.
func named(err error, name string) error {
	var at *fs.PathError
	var between *os.LinkError
	switch {
	case errors.As(err, &at):
		return &fs.PathError{Op: "write", Path: name, Err: at.Err}
	case errors.As(err, &between):
		return &fs.PathError{Op: "write", Path: name, Err: between.Err}
	}
	return err
}
