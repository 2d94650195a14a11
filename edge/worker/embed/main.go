// Command embed writes the website that the origin shows into a module of the Worker. An argument is a website as
// CULVERT_SITE names it, where the origin shows another than the first of those that are embedded:
//
//	go run ./edge/worker/embed panaderia:1a2b3c
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"unicode/utf8"

	"culvert/internal/site"
)

const module = "edge/worker/pages.js"

func main() {
	log.SetFlags(0)
	shown := site.First()
	if len(os.Args) > 1 {
		choice, err := site.ParseChoice(os.Args[1])
		if err != nil {
			log.Fatalf("%s %v", os.Args[1], err)
		}
		shown = choice.Site()
	}
	code, err := code(shown)
	if err == nil {
		err = os.WriteFile(module, code, 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// page is an answer of the site's, without what is the same in all of them.
type page struct {
	Type   string `json:"type"`
	Etag   string `json:"etag"`
	Packs  bool   `json:"packs,omitempty"` // other edges may pack it
	Text   string `json:"text,omitempty"`
	Base64 []byte `json:"base64,omitempty"`
}

// code is the module.
func code(shown *site.Site) ([]byte, error) {
	pages := map[string]page{}
	var changed string
	for _, at := range shown.Paths() {
		answer := visit(shown, at)
		pages[at], changed = read(answer), answer.Header().Get("Last-Modified")
	}
	var b bytes.Buffer
	b.WriteString("// The pages of internal/site, by their addresses: \"go run ./edge/worker/embed\" writes this.\n")
	fmt.Fprintf(&b, "export const changed = '%s';\nexport const pages = Object.assign(Object.create(null), ", changed)
	if err := write(&b, pages); err != nil {
		return nil, err
	}
	b.WriteString(");\nexport const missing = ")
	if err := write(&b, read(visit(shown, "/no-such-page"))); err != nil {
		return nil, err
	}
	b.WriteString(";\n")
	return b.Bytes(), nil
}

func visit(shown *site.Site, at string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	shown.ServeHTTP(w, httptest.NewRequest(http.MethodGet, at, nil))
	return w
}

func read(answer *httptest.ResponseRecorder) page {
	p := page{Type: answer.Header().Get("Content-Type"), Etag: answer.Header().Get("Etag"), Packs: answer.Header().Get("Vary") != ""}
	if body := answer.Body.Bytes(); utf8.Valid(body) {
		p.Text = string(body)
	} else {
		p.Base64 = body
	}
	return p
}

// write writes a value as JavaScript. Object.assign gives the pages no prototype, so that no path finds what no page is.
func write(b *bytes.Buffer, value any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		return err
	}
	b.Truncate(b.Len() - len("\n"))
	return nil
}
