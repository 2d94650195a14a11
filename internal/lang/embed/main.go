// Embed packs the files of internal/lang/messages into the catalogue that programs hold:
//
//	go generate ./internal/lang
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/andybalholm/brotli"

	"culvert/internal/lang"
)

func main() {
	if err := pack("messages", "catalogue.br"); err != nil {
		log.Fatal(err)
	}
}

// pack writes all messages of folder into one file: a line each, all of a language behind one another, in the order of
// lang.All. So packed they take a fifth less than side by side.
func pack(folder, to string) error {
	messages, err := read(folder)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	w := brotli.NewWriterLevel(&out, brotli.BestCompression)
	for _, l := range lang.All {
		for _, m := range messages {
			if m[l] == "" {
				return fmt.Errorf("%q: nothing in %s", m[lang.English], l)
			}
			fmt.Fprintln(w, m[l])
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(to, out.Bytes(), 0o644)
}

// read returns the messages of all files, by their names' order. An entry is a line of English, then a line for each
// language, which begins with two spaces and its tag. A line that begins with # is for translators.
func read(folder string) (all []map[lang.Language]string, err error) {
	names, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			switch translation, is := strings.CutPrefix(line, "  "); {
			case line == "" || line[0] == '#':
			case !is:
				all = append(all, map[lang.Language]string{lang.English: line})
			default:
				tag, text, _ := strings.Cut(translation, " ")
				all[len(all)-1][lang.Language(tag)] = text
			}
		}
	}
	return all, nil
}
