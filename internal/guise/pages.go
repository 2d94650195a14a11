package guise

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// These are nginx's own statuses, which it shows as 400.
const (
	headerTooLarge = 494
	plainToTLS     = 497
)

// reasons are the words that nginx has for a status where net/http has others.
var reasons = map[int]string{
	http.StatusFound:                        "Moved Temporarily",
	http.StatusMethodNotAllowed:             "Not Allowed",
	http.StatusRequestTimeout:               "Request Time-out",
	http.StatusRequestURITooLong:            "Request-URI Too Large",
	http.StatusRequestedRangeNotSatisfiable: "Requested Range Not Satisfiable",
	http.StatusServiceUnavailable:           "Service Temporarily Unavailable",
	http.StatusGatewayTimeout:               "Gateway Time-out",
}

func reason(status int) string {
	if r, ok := reasons[status]; ok {
		return r
	}
	return http.StatusText(status)
}

// shown is the status that strangers see.
func shown(status int) int {
	if status == headerTooLarge || status == plainToTLS {
		return http.StatusBadRequest
	}
	return status
}

// ending are the statuses after which nginx ends the connection.
func ending(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, headerTooLarge, plainToTLS,
		http.StatusInternalServerError, http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return true
	}
	return false
}

// page is nginx's own page for a status.
func page(status int) string {
	line := fmt.Sprintf("%d %s", shown(status), reason(shown(status)))
	title, more := line, ""
	switch status {
	case headerTooLarge:
		title, more = "400 Request Header Or Cookie Too Large", "<center>Request Header Or Cookie Too Large</center>\r\n"
	case plainToTLS:
		title, more = "400 The plain HTTP request was sent to HTTPS port", "<center>The plain HTTP request was sent to HTTPS port</center>\r\n"
	}
	return "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + line + "</h1></center>\r\n" + more +
		"<hr><center>" + Name + "</center>\r\n</body>\r\n</html>\r\n"
}

const pageType = "text/html; charset=utf-8"

// Refuse answers with the page of a status. What w has been told before stays among the headers.
func Refuse(w http.ResponseWriter, r *http.Request, status int) {
	body := page(status)
	h := w.Header()
	h.Set("Content-Type", pageType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	switch {
	case r.ProtoMajor == 1 && (ending(status) || r.Method == http.MethodTrace):
		h.Set("Connection", "close")
	case status == http.StatusPreconditionFailed:
		EndUnsaid(w, r)
	}
	w.WriteHeader(shown(status))
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(body)) // the visitor may have gone
	}
}

// instead is the whole answer in the place of one of net/http's own, which begins with the line.
func instead(line string) string {
	_, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	status, _ := strconv.Atoi(code)
	switch status {
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
	case http.StatusRequestHeaderFieldsTooLarge:
		status = headerTooLarge
	default:
		status = http.StatusBadRequest
	}
	return whole(status)
}

// whole is the page of a status as a whole answer, after which the connection ends.
func whole(status int) string {
	body := page(status)
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nServer: %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		shown(status), reason(shown(status)), Name, now(), pageType, len(body), body)
}
