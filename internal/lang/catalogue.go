package lang

import (
	"bytes"
	_ "embed"
	"io"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
)

//go:generate go run ./embed

// packed is all of messages/, for routers have little room: a message a line, first all in English, then, in the same
// order, all in each other language.
//
//go:embed catalogue.br
var packed []byte

// unpacked is the catalogue's lines. It is part of the program, so that an error cannot be.
var unpacked = sync.OnceValue(func() []string {
	text, err := io.ReadAll(brotli.NewReader(bytes.NewReader(packed)))
	if err != nil {
		panic(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
})

// catalogues are filled when the first message of a language is asked for: nobody speaks them all.
var catalogues = func() map[Language]func() map[string]string {
	all := map[Language]func() map[string]string{}
	for i, l := range All[1:] {
		all[l] = sync.OnceValue(func() map[string]string { return messages(unpacked(), i+1) })
	}
	return all
}()

// messages maps English to the language of that number.
func messages(lines []string, number int) map[string]string {
	n := len(lines) / len(All)
	found := make(map[string]string, n)
	for i, english := range lines[:n] {
		found[english] = lines[number*n+i]
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
