package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"culvert/internal/seal"
	"culvert/internal/term"
	"culvert/internal/wire"
)

// readSecrets reads the master secret, and that of the gates if they have one
// of their own: from gateFile, which may be empty, or from lines of secretFile
// that begin with "gate".
func readSecrets(secretFile, gateFile string, stdin io.Reader, stderr io.Writer) (seal.Master, error) {
	text, err := readSecret(secretFile, stdin, stderr)
	if err != nil {
		return seal.Master{}, err
	}
	masters, gates := sortSecrets(text)
	if gateFile != "" {
		more, err := readSecret(gateFile, stdin, stderr)
		if err != nil {
			return seal.Master{}, err
		}
		if gates != "" {
			return seal.Master{}, errors.New("there are gate secrets in both files: which one is it?")
		}
		gates = more
	}
	return newest(masters, gates)
}

// sortSecrets takes "master TEXT" and "gate TEXT" apart. A line without either
// word is of a master's.
func sortSecrets(text string) (masters, gates string) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 2 && words[0] == "gate":
			gates += words[1] + "\n"
		case len(words) == 2 && words[0] == "master":
			masters += words[1] + "\n"
		default:
			masters += line
		}
	}
	return masters, gates
}

func newest(masters, gates string) (seal.Master, error) {
	all, err := seal.ParseMasters(masters)
	if err != nil {
		return seal.Master{}, err
	}
	if gates == "" {
		return all[0], nil
	}
	keys, err := wire.ParseGateKeys(gates)
	if err != nil {
		return seal.Master{}, err
	}
	return all[0].WithGate(keys[0]), nil
}

// readSecret reads a file, or the standard input as -, and warns if others can
// read the file, too.
func readSecret(name string, stdin io.Reader, stderr io.Writer) (string, error) {
	if name == "-" {
		b, err := term.ReadAll(stdin)
		return string(b), err
	}
	b, err := term.ReadSmall(name)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(name); err == nil && readableByOthers(info) {
		fmt.Fprintf(stderr, "culvert: warning: others can read %s, and with it make links: chmod 600 %s\n", name, name)
	}
	return string(b), nil
}

// readableByOthers knows no answer where permissions are not Unix's, nor for
// a pipe that a shell hands over.
func readableByOthers(info os.FileInfo) bool {
	return runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0
}
