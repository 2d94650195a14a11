package lang

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"strings"
	"sync"
)

//go:generate go run ./embed

// packed is all files of messages/, one behind the other: a fifth of their size, as routers have little room.
//
//go:embed catalogue.gz
var packed []byte

// unpacked is the catalogue's text. It is part of the program, so that an error cannot be.
var unpacked = sync.OnceValue(func() string {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		panic(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		panic(err)
	}
	return string(text)
})

// catalogues are filled when the first message of a language is asked for: nobody speaks them all.
var catalogues = func() map[Language]func() map[string]string {
	all := map[Language]func() map[string]string{}
	for _, l := range All[1:] {
		all[l] = sync.OnceValue(func() map[string]string { return parse(unpacked(), l) })
	}
	return all
}()

// parse reads what the catalogue has in l. An entry is a line of English, then a line for each
// language, which begins with two spaces and its tag. A line that begins with # is for translators.
func parse(text string, l Language) map[string]string {
	found := map[string]string{}
	english, mark := "", "  "+string(l)+" "
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, mark):
			found[english] = line[len(mark):]
		case line != "" && line[0] != ' ' && line[0] != '#':
			english = line
		}
	}
	return found
}

// find is the message whose English is given.
func (l Language) find(english string) (string, bool) {
	catalogue := catalogues[l]
	if catalogue == nil {
		return "", false
	}
	text, ok := catalogue()[english]
	return text, ok
}
