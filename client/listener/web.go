package listener

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/things-go/go-socks5/statute"

	"culvert/internal/whatsapp"
	"culvert/internal/wire"
)

// webPort is the port that browsers dial; chat has others, too.
const webPort = 443

// webWait is what a program has for its first bytes after it was let in: they ride in the
// opening frame. Both TLS and HTTP have the client speak first.
const webWait = 10 * time.Second

// refusal is what somebody is told who asks for something else than WhatsApp.
const refusal = "Culvert carries https of WhatsApp's names alone. Have programs use it by the automatic configuration (PAC) address that it prints, so that all else goes its usual way.\n"

// identifyWeb finds out by SOCKS5 (RFC 1928) or HTTP CONNECT (RFC 9110, section 9.3.6) which host a
// browser or another program asks for. Names of WhatsApp's are let in, which the origin resolves; all else is
// refused, and nothing is ever dialled from here. What is neither is asked for a page, as
// at any listener, or closed.
func (r *reception) identifyWeb(conn net.Conn, b []byte) (arrival, bool) {
	from := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(b), conn), maxRequest)
	begun, err := from.Peek(1)
	if err != nil {
		return arrival{}, false
	}
	var s wire.Service
	var ok bool
	if begun[0] == statute.VersionSocks5 {
		s, ok = bySOCKS(conn, from)
	} else {
		s, ok = r.byHTTP(conn, from)
	}
	if !ok {
		return arrival{}, false
	}
	return arrival{conn: conn, service: s, first: firstOf(conn, from)}, true
}

// webService is what a program asks for by host and port, and false where nothing of WhatsApp's is there. Chat's
// own names are chat, which the origin knows how to reach. What the app's media come from is media, which has other
// servers to fall back to.
func webService(host string, port int) (wire.Service, bool) {
	name := wire.CleanHost(host)
	switch {
	case !whatsapp.IsAllowed(host, port):
		return wire.Service{}, false
	case name == "g.whatsapp.net" || name == "g-fallback.whatsapp.net":
		return wire.Service{Kind: wire.Chat}, true
	case port != webPort:
		return wire.Service{}, false
	case whatsapp.IsMediaHost(host):
		return wire.Service{Kind: wire.Media, Host: name}, true
	}
	return wire.Service{Kind: wire.Web, Host: name}, true
}

// firstOf returns what has come behind the request, or comes within webWait.
func firstOf(conn net.Conn, from *bufio.Reader) []byte {
	conn.SetReadDeadline(time.Now().Add(webWait))
	from.Peek(1) // an end of the stream comes again at the next read
	conn.SetReadDeadline(time.Time{})
	first, _ := from.Peek(from.Buffered())
	return bytes.Clone(first)
}

// bySOCKS answers for SOCKS5. It lets in by no method but that without a password: who reaches
// the listener may use it.
func bySOCKS(conn net.Conn, from *bufio.Reader) (s wire.Service, ok bool) {
	methods, err := statute.ParseMethodRequest(from)
	if err != nil {
		return s, false
	}
	if !bytes.Contains(methods.Methods, []byte{statute.MethodNoAuth}) {
		conn.Write([]byte{statute.VersionSocks5, statute.MethodNoAcceptable})
		return s, false
	}
	if _, err := conn.Write([]byte{statute.VersionSocks5, statute.MethodNoAuth}); err != nil {
		return s, false
	}
	asked, err := statute.ParseRequest(from)
	if err != nil {
		return s, false
	}
	code := byte(statute.RepSuccess)
	s, ok = webService(asked.DstAddr.FQDN, asked.DstAddr.Port) // no addresses, as of programs that resolve names themselves
	switch {
	case asked.Command != statute.CommandConnect:
		code = statute.RepCommandNotSupported
	case !ok:
		code = statute.RepRuleFailure
	}
	reply := statute.Reply{Version: statute.VersionSocks5, Response: code,
		BndAddr: statute.AddrSpec{IP: net.IPv4zero, AddrType: statute.ATYPIPv4}}
	_, err = conn.Write(reply.Bytes())
	return s, err == nil && code == statute.RepSuccess
}

// byHTTP answers for HTTP: a CONNECT lets in, or is refused, as is what asks a proxy for a page of
// somebody else; a request for this listener's own pages is answered as at any listener.
func (r *reception) byHTTP(conn net.Conn, from *bufio.Reader) (s wire.Service, ok bool) {
	q, err := readHead(from)
	if err != nil {
		return s, false
	}
	if q.Method != http.MethodConnect {
		if q.URL.IsAbs() {
			refuse(conn)
		} else {
			r.showPage(conn, q)
		}
		return s, false
	}
	host, port, err := net.SplitHostPort(q.Host)
	number, bad := strconv.Atoi(port)
	if err == nil && bad == nil {
		s, ok = webService(host, number)
	}
	if !ok {
		refuse(conn)
		return s, false
	}
	_, err = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	return s, err == nil
}

var errLongHead = errors.New("the request is too long")

// readHead reads the head of a request, of at most from's size.
func readHead(from *bufio.Reader) (*http.Request, error) {
	for n := 1; ; n = from.Buffered() + 1 {
		if n > from.Size() {
			return nil, errLongHead
		}
		if _, err := from.Peek(n); err != nil {
			return nil, err
		}
		head, _ := from.Peek(from.Buffered())
		if end := bytes.Index(head, []byte("\r\n\r\n")); end >= 0 {
			defer from.Discard(end + 4)
			return http.ReadRequest(bufio.NewReader(bytes.NewReader(head[:end+4])))
		}
	}
}

// refuse tells a program, and whoever looks at it, that it asks for what is not carried.
func refuse(conn net.Conn) {
	end(conn, fmt.Appendf(nil, "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(refusal), refusal))
}

// pac is the script by which a browser sends WhatsApp's names to the proxy at address, host:port, and all
// else its usual way. For WhatsApp's names there is no usual way to fall back to, which would show them.
func pac(address string) string {
	return strings.ReplaceAll(`function FindProxyForURL(url, host) {
  host = host.toLowerCase();
  if (host == "wa.me" || host == "whatsapp.com" || host == "whatsapp.net" ||
      dnsDomainIs(host, ".whatsapp.com") || dnsDomainIs(host, ".whatsapp.net"))
    return "PROXY ADDRESS; SOCKS5 ADDRESS";
  return "DIRECT";
}
`, "ADDRESS", address)
}
