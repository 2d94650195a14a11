package listener

import (
	"bufio"
	"bytes"
	"crypto/subtle"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// helpTime bounds the question of a browser, and the answer to it.
const helpTime = 5 * time.Second

// maxRequest bounds a browser's question, and maxRest what is thrown away of what comes
// behind it: closing with bytes unread resets the connection, and the browser would not
// show the page.
const (
	maxRequest = 8 << 10
	maxRest    = 64 << 10
)

// Page is what a person's browser is shown that asks for one of the listener's pages. Here says that
// it runs on this machine; else it is somewhere on the network, and what is secret is none of its business.
type Page func(q *http.Request, here bool) string

// help shows the page to a person whose browser was led here, and closes conn.
// Everybody else gets no answer: a page of the web must not find out that Culvert runs
// here, neither by itself nor by a name of its own that leads here.
func (r *reception) help(conn net.Conn, begun []byte) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(helpTime))
	text, ok := readUntil(conn, bytes.Clone(begun), maxRequest, func(b []byte) bool {
		return bytes.Contains(b, []byte("\r\n\r\n"))
	})
	if !ok {
		return
	}
	q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
	if err != nil {
		return
	}
	r.showPage(conn, q)
}

// showPage answers who may see a page of this listener's, and nobody else.
func (r *reception) showPage(conn net.Conn, q *http.Request) {
	switch {
	case r.isScripts(q, conn.LocalAddr()):
		end(conn, answer(q, "application/x-ns-proxy-autoconfig", pac(proxyAddress(q.Host, conn.LocalAddr()))))
	case r.Page != nil && !r.Web && r.isPersons(q, conn.LocalAddr()):
		end(conn, answer(q, "text/html; charset=utf-8", r.Page(q, isHere(conn))))
	}
}

// isHere reports whether conn comes from a program of this machine, by loopback.
func isHere(conn net.Conn) bool {
	from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	return err == nil && from.Addr().Unmap().IsLoopback()
}

// proxyAddress is where a browser finds this listener that has asked for host, which is ours.
func proxyAddress(host string, local net.Addr) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, port, _ := net.SplitHostPort(local.String())
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

// end writes the last that is said on conn, so that it arrives though bytes were not read.
func end(conn net.Conn, last []byte) {
	conn.SetDeadline(time.Now().Add(helpTime))
	if _, err := conn.Write(last); err != nil {
		return
	}
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
	io.CopyN(io.Discard, conn, maxRest)
}

// isScripts reports whether a request is for the script that configures browsers. Its path is a secret that a
// page of the web, which could fetch it, does not know.
func (r *reception) isScripts(q *http.Request, local net.Addr) bool {
	return r.Script != "" && q.Method == http.MethodGet && len(q.Header["Origin"]) == 0 && r.isOurs(q.Host, local) &&
		subtle.ConstantTimeCompare([]byte(q.URL.Path), []byte(r.Script)) == 1
}

// isPersons reports whether a request is one that a browser makes when a person enters
// this listener's address. Upgrade-Insecure-Requests comes with that, and not with what a
// page of the web fetches: a picture, a script, an answer it may not read. Sec-Fetch-Site, which no page can
// change either, comes to loopback alone, and says who asks there.
func (r *reception) isPersons(q *http.Request, local net.Addr) bool {
	h := q.Header
	from := h.Get("Sec-Fetch-Site")
	return (q.Method == http.MethodGet || q.Method == http.MethodHead) && q.ContentLength == 0 &&
		h.Get("Upgrade-Insecure-Requests") == "1" && (from == "" || from == "none" || from == "same-origin") &&
		len(h["Origin"]) == 0 && len(h["Upgrade"]) == 0 && r.isOurs(q.Host, local)
}

// isOurs reports whether host, perhaps with a port, is this listener's: its address, what
// the app was told, or localhost. Any other name may be a stranger's that leads here.
func (r *reception) isOurs(host string, local net.Addr) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" || host != "" && host == r.Host {
		return true
	}
	named, err := netip.ParseAddr(host)
	at, bad := netip.ParseAddrPort(local.String())
	return err == nil && bad == nil && named.Unmap() == at.Addr().Unmap().WithZone("")
}

// policy keeps a page from running, fetching, sending and being framed.
const policy = "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n" +
	"X-Frame-Options: DENY\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n"

// answer is the response to a request that gets text.
func answer(q *http.Request, kind, text string) []byte {
	body := text
	if q.Method == http.MethodHead {
		body = ""
	}
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n"+
		"Content-Length: %d\r\nCache-Control: no-store\r\n%sConnection: close\r\n\r\n%s", kind, len(text), policy, body)
}
