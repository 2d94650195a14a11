//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// seen is a value of a request as CloudFront shows it to functions.
type seen struct {
	Value string `json:"value"`
	Multi []seen `json:"multiValue,omitempty"`
}

type seenRequest struct {
	Method  string          `json:"method"`
	URI     string          `json:"uri"`
	Query   map[string]seen `json:"querystring"`
	Headers map[string]seen `json:"headers"`
	Cookies map[string]seen `json:"cookies"`
}

// viewerRequest lets the function change r, and gives the origin that it chose.
func (w *world) viewerRequest(r *http.Request, arn string) (origin string, err error) {
	for _, p := range w.all("AWS::CloudFront::Function") {
		if p.ARN != arn {
			continue
		}
		f, err := as[struct{ FunctionCode string }](p)
		if err != nil {
			return "", err
		}
		return change(r, f.FunctionCode, w.folder)
	}
	return "", fmt.Errorf("the function %q: %w", arn, errNotThere)
}

func change(r *http.Request, code, folder string) (origin string, err error) {
	event, err := json.Marshal(show(r))
	if err != nil {
		return "", err
	}
	b, err := inNJS(code, string(event), folder)
	if err != nil {
		return "", err
	}
	var after struct {
		Request seenRequest
		Origin  string
	}
	if err := json.Unmarshal(b, &after); err != nil {
		return "", fmt.Errorf("the function says %q: %w", b, err)
	}
	if after.Request.Method != r.Method || after.Request.URI != r.URL.EscapedPath() {
		return "", fmt.Errorf("the function changed more than is known here: %s", b)
	}
	r.URL.RawQuery = queryOf(after.Request.Query)
	r.Header.Del("Cookie")
	for name, c := range after.Request.Cookies {
		for _, one := range append(c.Multi, c)[:max(1, len(c.Multi))] {
			r.AddCookie(&http.Cookie{Name: name, Value: one.Value})
		}
	}
	return after.Origin, nil
}

func queryOf(all map[string]seen) string {
	q := url.Values{}
	for name, v := range all {
		q.Set(name, v.Value)
	}
	return q.Encode()
}

// show leaves out the headers that functions are not shown.
func show(r *http.Request) seenRequest {
	s := seenRequest{Method: r.Method, URI: r.URL.EscapedPath(), Query: map[string]seen{}, Headers: map[string]seen{"host": {Value: r.Host}},
		Cookies: map[string]seen{}}
	for name, values := range r.Header {
		if name != "Cookie" && name != "Upgrade" && name != "Connection" {
			s.Headers[strings.ToLower(name)] = seen{Value: strings.Join(values, ",")}
		}
	}
	for name, values := range r.URL.Query() {
		s.Query[name] = seen{Value: values[len(values)-1]}
	}
	for _, c := range r.Cookies() {
		s.Cookies[c.Name] = s.Cookies[c.Name].and(c.Value)
	}
	return s
}

// and adds a value of the same name.
func (s seen) and(value string) seen {
	switch {
	case s.Value == "":
		return seen{Value: value}
	case s.Multi == nil:
		s.Multi = []seen{{Value: s.Value}}
	}
	s.Multi = append(s.Multi, seen{Value: value})
	return s
}

// inNJS runs the code in the engine that CloudFront's runtime is made of. It
// prints in pieces, as njs prints 2,048 bytes of a line and no more.
func inNJS(code, event, folder string) ([]byte, error) {
	const cloudfront = "let origin = '';\nconst cf = {selectRequestOriginById: id => { origin = id; }};"
	script := strings.Replace(code, "import cf from 'cloudfront';", cloudfront, 1) + `
const result = JSON.stringify({request: handler({request: ` + event + `}), origin: origin});
for (let i = 0; i < result.length; i += 500) console.log(result.slice(i, i + 500));
`
	f, err := os.CreateTemp(folder, "gate*.mjs")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(script)
	if err := f.Close(); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	out, err := exec.Command("njs", f.Name()).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("njs %s: %w: %s", filepath.Base(f.Name()), err, out)
	}
	return []byte(strings.ReplaceAll(string(out), "\n", "")), nil
}
