package listener

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"time"
)

// helpTime bounds the answer to a browser.
const helpTime = 5 * time.Second

// maxRequest bounds what is read of a request only to be thrown away: closing
// with bytes unread resets the connection, and the browser would not show the
// page.
const maxRequest = 64 << 10

const helpPage = `<!doctype html>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>A proxy for WhatsApp</title>
<h1>This port is a proxy for the WhatsApp app</h1>
<p>It works, but browsers cannot use it. On the phone open WhatsApp and go to
<b>Settings</b>, <b>Storage and data</b>, <b>Proxy</b>. Enter</p>
<ul>
<li>as host, the name or number before the colon in this page's address,</li>
<li>as chat port and as media port, the number after it,</li>
<li>and leave TLS off.</li>
</ul>
<p>Messages, pictures, voice notes and files go through it; calls do not.</p>
`

// answer is the response to a request that begins with request. CONNECT is
// refused, as a 200 would say that a tunnel is open.
func answer(request []byte) []byte {
	status, body := "200 OK", helpPage
	switch {
	case bytes.HasPrefix(request, []byte("CONNECT ")):
		status = "405 Method Not Allowed\r\nAllow: GET, HEAD"
	case bytes.HasPrefix(request, []byte("HEAD ")):
		body = ""
	}
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Type: text/html; charset=utf-8\r\n"+
		"Content-Length: %d\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n%s", status, len(helpPage), body)
}

// help shows the help page and closes conn.
func help(conn net.Conn, request []byte) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(helpTime))
	if _, err := conn.Write(answer(request)); err != nil {
		return
	}
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
	io.CopyN(io.Discard, conn, maxRequest)
}
