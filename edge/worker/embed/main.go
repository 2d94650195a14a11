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
	Etag   string `json:"etag,omitempty"`
	Text   string `json:"text,omitempty"`
	Base64 []byte `json:"base64,omitempty"`
}

// code is the module.
func code() ([]byte, error) {
	pages := map[string]page{}
	var changed string
	for _, at := range site.Paths() {
		answer := visit(http.MethodGet, at)
		pages[at], changed = read(answer), answer.Header().Get("Last-Modified")
	}
	refusals := map[string]page{
		"404": read(visit(http.MethodGet, "/no-such-page")),
		"405": read(visit(http.MethodPost, "/")),
	}
	var b bytes.Buffer
	b.WriteString("// The pages of internal/site, by their addresses: \"go run ./edge/worker/embed\" writes this.\n")
	fmt.Fprintf(&b, "export const changed = '%s';\n", changed)
	for _, part := range []struct {
		name  string
		pages map[string]page
	}{{"pages", pages}, {"refusals", refusals}} {
		fmt.Fprintf(&b, "export const %s = ", part.name)
		if err := write(&b, part.pages); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func visit(method, at string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	site.Handler().ServeHTTP(w, httptest.NewRequest(method, at, nil))
	return w
}

func read(answer *httptest.ResponseRecorder) page {
	p := page{Type: answer.Header().Get("Content-Type"), Etag: answer.Header().Get("Etag")}
	if body := answer.Body.Bytes(); utf8.Valid(body) {
		p.Text = string(body)
	} else {
		p.Base64 = body
	}
	return p
}

// write writes an object without a prototype, so that no path finds what no page is.
func write(b *bytes.Buffer, pages map[string]page) error {
	b.WriteString("Object.assign(Object.create(null), ")
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(pages); err != nil {
		return err
	}
	b.Truncate(b.Len() - len("\n"))
	b.WriteString(");\n")
	return nil
}
