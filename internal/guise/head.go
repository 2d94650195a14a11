package guise

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// order is the order of nginx's headers. Those that are not in it come behind, as they came.
var order = []string{"server", "date", "content-type", "content-length", "location", "last-modified", "transfer-encoding",
	"connection", "vary", "etag"}

// now is the time of an answer.
func now() string { return time.Now().UTC().Format(http.TimeFormat) }

// redress rewrites the head of an answer, with the empty line behind it, as nginx would have written it. With
// keep it does not say that the connection ends.
func redress(head []byte, keep bool) []byte {
	line, rest, _ := strings.Cut(string(head), "\r\n")
	fields := make([]string, 0, 16)
	ranks := make(map[string]int, 16)
	hasConnection, hasServer := false, false
	for field := range strings.SplitSeq(rest, "\r\n") {
		if field == "" {
			continue
		}
		name, _, _ := strings.Cut(field, ":")
		lower := strings.ToLower(name)
		hasConnection = hasConnection || lower == "connection"
		hasServer = hasServer || lower == "server"
		switch {
		case lower == "connection" && keep:
			field = "Connection: keep-alive"
		case lower == "etag":
			field = "ETag" + field[len(name):]
		}
		fields, ranks[field] = append(fields, field), rank(lower)
	}
	if !hasConnection {
		field := "Connection: keep-alive"
		if strings.HasPrefix(line, "HTTP/1.0 ") { // net/http says so where it keeps one
			field = "Connection: close"
		}
		fields, ranks[field] = append(fields, field), rank("connection")
	}
	if !hasServer {
		fields, ranks["Server: "+Name] = append(fields, "Server: "+Name), rank("server")
	}
	slices.SortStableFunc(fields, func(a, b string) int { return ranks[a] - ranks[b] })
	return []byte(statusLine(line) + "\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n")
}

func rank(name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	return len(order)
}

// statusLine is nginx's: of HTTP/1.1 for whoever asks, and in its own words.
func statusLine(line string) string {
	code := statusOf(line)
	return "HTTP/1.1 " + strconv.Itoa(code) + " " + reason(code)
}

// statusOf is 0 if line is no status line.
func statusOf(line string) int {
	_, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	status, _ := strconv.Atoi(code)
	return status
}

// isOwn reports whether b is an answer that net/http makes without asking a handler.
func isOwn(b []byte) bool {
	_, rest, ok := bytes.Cut(b, []byte("\r\n"))
	return ok && bytes.HasPrefix(b, []byte("HTTP/1.1 ")) &&
		bytes.HasPrefix(rest, []byte("Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"))
}
