package look

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// AppendRequest appends the head of a request for a WebSocket as the browser writes it. Of req it takes the
// target, the host, the cookies and the WebSocket's key, and nothing else: what else a browser says it says itself.
func (c *Conn) AppendRequest(b []byte, req *http.Request) []byte {
	return appendLines(b, c.look.data.Upgrade, map[string]string{
		holeTarget: req.URL.RequestURI(), holeHost: req.Host,
		holeKey: req.Header.Get("Sec-WebSocket-Key"), holeCookie: strings.Join(req.Header["Cookie"], "; "),
	})
}

// AppendVisit appends the head of a request for a page by HTTP/1.1, with more lines at its end.
func (c *Conn) AppendVisit(b []byte, host, target string, more ...string) []byte {
	return appendLines(b, slices.Concat(c.look.data.Visit, more), map[string]string{
		holeTarget: target, holeHost: host, holeCookie: "", holeTag: "", holeModified: "",
	})
}

// AppendConnect appends the head of a request to a proxy for a connection to host:port, with more lines at its end.
func (l *Look) AppendConnect(b []byte, hostPort string, more ...string) []byte {
	return appendLines(b, slices.Concat(l.data.Connect, more), map[string]string{holeTarget: hostPort})
}

// appendLines fills the holes of lines. A line is left out where there is nothing for its hole.
func appendLines(b []byte, lines []string, values map[string]string) []byte {
	for _, line := range lines {
		if line = fill(line, values); line != "" {
			b = append(append(b, line...), "\r\n"...)
		}
	}
	return append(b, "\r\n"...)
}

// fill puts a value into the hole of a text, which has one at most; empty: there is no value.
func fill(text string, values map[string]string) string {
	for hole, value := range values {
		if before, after, found := strings.Cut(text, hole); found {
			if value == "" {
				return ""
			}
			return before + value + after
		}
	}
	return text
}

// Bounds of a captured request.
const (
	maxLines = 40
	maxLine  = 1000
)

// checkLines makes sure that lines are a request's head with each hole once at least.
func checkLines(lines, holes []string) error {
	if len(lines) < 2 || len(lines) > maxLines {
		return errors.New("it has too few or too many lines")
	}
	if method, _, ok := strings.Cut(lines[0], " "+holeTarget+" "); !ok || method == "" || !strings.HasSuffix(lines[0], " HTTP/1.1") {
		return errors.New("it begins with no line of a request")
	}
	for _, line := range lines[1:] {
		name, _, ok := strings.Cut(line, ": ")
		if !ok || name == "" || len(line) > maxLine || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
			return errors.New("it has a line that is no header")
		}
	}
	whole := strings.Join(lines, "\n")
	for _, hole := range holes {
		if !strings.Contains(whole, hole) {
			return errors.New("it lacks the place of " + hole)
		}
	}
	return nil
}

// roundTripH1 sends one request, and reads the whole answer to it, whose body is cut after maxBody.
func (c *Conn) roundTripH1(req *http.Request, body []byte) (*http.Response, error) {
	var b []byte
	if len(body) == 0 {
		b = c.AppendVisit(nil, req.URL.Host, req.URL.RequestURI())
	} else {
		lines := []string{req.Method + " " + req.URL.RequestURI() + " HTTP/1.1", "Host: " + req.URL.Host, "Connection: keep-alive",
			"Content-Length: " + strconv.Itoa(len(body))}
		for _, name := range posted {
			lines = append(lines, name+": "+req.Header.Get(name))
		}
		b = append(appendLines(nil, lines, nil), body...)
	}
	if _, err := c.Write(b); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: c, N: maxFields + maxBody}
	answer, err := finalAnswer(bufio.NewReader(limited), req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	whole, err := io.ReadAll(io.LimitReader(answer.Body, maxBody+1))
	cut := err != nil || len(whole) > maxBody || limited.N <= 0
	answer.Body = bodyOf(whole[:min(len(whole), maxBody)], cut)
	return answer, nil
}

// maxInformed is how many answers may come before the final one, as in net/http.
const maxInformed = 5

// finalAnswer skips the answers of 1xx that may come before the final one (RFC 9110, section 15.2).
func finalAnswer(br *bufio.Reader, req *http.Request) (*http.Response, error) {
	for range maxInformed + 1 {
		answer, err := http.ReadResponse(br, req)
		if err != nil || answer.StatusCode >= 200 {
			return answer, err
		}
	}
	return nil, errors.New("too many answers before the final one")
}

// bodyOf is a body that was read; one that was cut ends in io.ErrUnexpectedEOF.
func bodyOf(b []byte, cut bool) io.ReadCloser {
	if cut {
		return io.NopCloser(io.MultiReader(bytes.NewReader(b), brokenOff{}))
	}
	return io.NopCloser(bytes.NewReader(b))
}
