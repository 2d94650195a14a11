package main

import (
	"fmt"
	"io"
	"strings"

	"culvert/internal/link"
	"culvert/internal/term"
)

// linkSource is where a command's link comes from.
type linkSource struct {
	flags *term.Flags
	file  string
}

// linkFlag adds --link-file to f.
func linkFlag(f *term.Flags) *linkSource {
	s := &linkSource{flags: f}
	f.StringVar(&s.file, "link-file", "", "`FILE` that holds the link; - is the standard input")
	return s
}

// read gives the link that the arguments args or --link-file name. Space and
// line breaks in it are dropped: no link has any, and mail programs add them.
func (s *linkSource) read(args []string, stdin io.Reader) (*link.Link, error) {
	text, err := s.text(args, stdin)
	if err != nil {
		return nil, err
	}
	l, err := link.Parse(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, fmt.Errorf("read link: %w", err)
	}
	return l, nil
}

func (s *linkSource) text(args []string, stdin io.Reader) (string, error) {
	file := s.file
	switch {
	case file != "" && len(args) > 0:
		return "", s.flags.Wrong("give the link or --link-file, not both")
	case file == "" && len(args) == 0:
		return "", s.flags.Wrong("the link is missing: paste the line that starts with %s, or name its file with --link-file", link.Scheme)
	case len(args) == 1 && args[0] == "-":
		file = "-"
	case file == "":
		return strings.Join(args, ""), nil
	}
	var b []byte
	var err error
	if file == "-" {
		b, err = term.ReadAll(stdin)
	} else {
		b, err = term.ReadSmall(file)
	}
	if err != nil {
		return "", fmt.Errorf("read link: %w", err)
	}
	return string(b), nil
}
