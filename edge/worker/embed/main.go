// Command embed writes the website that the origin shows into a module of the Worker:
//
//	go run ./edge/worker/embed
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
	code, err := code()
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
func code() ([]byte, error) {
	pages := map[string]page{}
	var changed string
	for _, at := range site.Paths() {
		answer := visit(at)
		pages[at], changed = read(answer), answer.Header().Get("Last-Modified")
	}
	var b bytes.Buffer
	b.WriteString("// The pages of internal/site, by their addresses: \"go run ./edge/worker/embed\" writes this.\n")
	fmt.Fprintf(&b, "export const changed = '%s';\nexport const pages = Object.assign(Object.create(null), ", changed)
	if err := write(&b, pages); err != nil {
		return nil, err
	}
	b.WriteString(");\nexport const missing = ")
	if err := write(&b, read(visit("/no-such-page"))); err != nil {
		return nil, err
	}
	b.WriteString(";\n")
	return b.Bytes(), nil
}

func visit(at string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	site.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, at, nil))
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
