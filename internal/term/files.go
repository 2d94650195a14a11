package term

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// MaxSmall bounds the files that are read whole: secrets, links, certificates.
const MaxSmall = 1 << 20

// ReadInput reads at most MaxSmall bytes of the named file, or of stdin for "-".
func ReadInput(name string, stdin io.Reader) ([]byte, error) {
	if name == "-" {
		return readAll(stdin)
	}
	return ReadSmall(name)
}

// ReadSmall reads a file of at most MaxSmall bytes.
func ReadSmall(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := readAll(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

func readAll(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxSmall+1))
	if err == nil && len(b) > MaxSmall {
		err = errors.New("too large: not the file that was meant")
	}
	return b, err
}

// Quoted is a file's name as a shell takes it.
func Quoted(name string) string {
	if !strings.ContainsAny(name, " \t\"'$&;()<>|*?\\`") {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
