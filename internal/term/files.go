package term

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// MaxSmall bounds the files that are read whole: certificates, and days of prices.
const MaxSmall = 1 << 20

// ReadSmall reads a file of at most MaxSmall bytes.
func ReadSmall(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxSmall+1))
	if err == nil && len(b) > MaxSmall {
		err = fmt.Errorf("%s: too large: not the file that was meant", name)
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
