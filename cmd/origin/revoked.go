package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"culvert/internal/serve"
)

// revocation is CULVERT_REVOKED as it was written: numbers, or a file's name.
type revocation string

// errRevoked does not say which line: a list of users is nobody's business.
var errRevoked = errors.New("holds something that is no user's number")

// watch returns what tells whether a user's links are void; nil: nobody's are.
func (v revocation) watch(files *serve.Files) (func(user uint32) bool, error) {
	if v == "" {
		return nil, nil
	}
	var names []string
	if !v.isList() {
		names = []string{string(v)}
	}
	list, err := serve.Watch(files, "CULVERT_REVOKED", names, v.read)
	if err != nil {
		return nil, err
	}
	return func(user uint32) bool { return list.Get()[user] }, nil
}

// isList reports whether v is the numbers themselves.
func (v revocation) isList() bool { return strings.Trim(string(v), "0123456789, ") == "" }

func (v revocation) read() (map[uint32]bool, error) {
	if v.isList() {
		return parseRevoked(strings.NewReader(string(v)))
	}
	f, err := os.Open(string(v))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseRevoked(f)
}

// parseRevoked reads numbers with commas, spaces or line ends between. What
// follows a # on a line is a comment.
func parseRevoked(r io.Reader) (map[uint32]bool, error) {
	users := map[uint32]bool{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		for _, word := range strings.FieldsFunc(line, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' || c == '\r' }) {
			n, err := strconv.ParseUint(word, 10, 32)
			if err != nil {
				return nil, errRevoked
			}
			users[uint32(n)] = true
		}
	}
	return users, lines.Err()
}
